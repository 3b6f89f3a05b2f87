from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist

from ipse.metrics import alignment, uniformity

module = sys.modules["ipse.metrics.alignment"]  # the package's name for it is the function


def normalized(z: torch.Tensor) -> np.ndarray:
    x = z.double().numpy()
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("alpha", [1, 2])
def test_alignment_equals_the_slow_version(alpha: int) -> None:
    z1, z2 = torch.randn(2, 2500, 6)
    distance = np.linalg.norm(normalized(z1) - normalized(z2), axis=1)
    assert alignment(z1, z2, alpha) == pytest.approx((distance**alpha).mean(), rel=1e-5)
    assert alignment(z1, 3 * z1) == pytest.approx(0, abs=1e-6)
    assert alignment(z1, -z1) == pytest.approx(4, rel=1e-6)


@pytest.mark.parametrize("t", [1, 2])
def test_uniformity_equals_the_slow_version(t: int) -> None:
    z = torch.randn(2500, 6)
    expected = np.log(np.exp(-t * pdist(normalized(z)) ** 2).mean())
    assert uniformity(z, t) == pytest.approx(expected, rel=1e-5)


def test_uniformity_of_collapsed_embeddings_is_zero() -> None:
    assert uniformity(torch.ones(50, 3)) == pytest.approx(0, abs=1e-5)
    assert np.isnan(uniformity(torch.ones(1, 3)))


def test_many_rows_are_sampled_the_same_way_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 2000)
    z = torch.randn(4000, 3)
    torch.manual_seed(1)
    first = uniformity(z)
    torch.manual_seed(2)
    assert uniformity(z) == first
    assert first == pytest.approx(uniformity(z[:2000]), abs=0.05)
