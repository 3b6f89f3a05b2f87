from __future__ import annotations

import math

import pytest
import torch

from ipse.metrics import geometric_mean_lid, intrinsic_dimension


def sheet(n: int, dimension: int) -> torch.Tensor:
    """Points of a flat sheet of some dimension in R^10."""
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(n, dimension, generator=generator)
    return points @ torch.linalg.qr(torch.randn(10, dimension, generator=generator)).Q.T


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_dimension_of_a_sheet(dimension: int) -> None:
    z = sheet(1000, dimension)
    assert geometric_mean_lid(z) == pytest.approx(dimension, rel=0.15)
    assert geometric_mean_lid(z, kind="mom") == pytest.approx(dimension, rel=0.15)
    assert intrinsic_dimension(z) == pytest.approx(dimension, rel=0.15)


def test_many_rows_are_sampled() -> None:
    assert geometric_mean_lid(sheet(5000, 2)) == pytest.approx(2, rel=0.15)
    assert intrinsic_dimension(sheet(5000, 2)) == pytest.approx(2, rel=0.15)


def test_one_point_many_times_over() -> None:
    assert intrinsic_dimension(torch.ones(50, 3)) == 0
    assert geometric_mean_lid(torch.ones(50, 3)) == 1
    assert math.isfinite(geometric_mean_lid(torch.cat([torch.ones(30, 3), torch.randn(20, 3)])))
