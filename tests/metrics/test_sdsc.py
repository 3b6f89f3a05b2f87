from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ipse.metrics.sdsc import sdsc


def signal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_itself_its_opposite_and_nothing() -> None:
    e = signal(4, 2, 30)
    assert sdsc(e, e) == pytest.approx(1)
    assert sdsc(e, -e) == 0
    assert sdsc(e, 0 * e) == 0
    assert sdsc(0 * e, 0 * e) == 1


@pytest.mark.parametrize("c", [0.1, 0.5, 1.0, 2.0, 7.0])
def test_another_amplitude(c: float) -> None:
    e = signal(4, 2, 30)
    assert sdsc(e, c * e) == pytest.approx(2 * min(1, c) / (1 + c), rel=1e-6)


def test_symmetric_and_blind_to_scale_and_to_the_order_of_time() -> None:
    e, r = signal(4, 2, 30), signal(4, 2, 30, seed=1)
    order = torch.randperm(30)
    assert sdsc(r, e) == pytest.approx(sdsc(e, r))
    assert sdsc(3 * e, 3 * r) == pytest.approx(sdsc(e, r))
    assert sdsc(e[..., order], r[..., order]) == pytest.approx(sdsc(e, r))


def test_equals_the_slow_version_and_is_a_mean_over_series() -> None:
    e, r = signal(3, 2, 20).double().numpy(), signal(3, 2, 20, seed=1).double().numpy()
    scores = []
    for i, c in np.ndindex(3, 2):
        overlap = sum(2 * min(abs(a), abs(b)) for a, b in zip(e[i, c], r[i, c], strict=True) if a * b > 0)
        scores.append(overlap / (np.abs(e[i, c]).sum() + np.abs(r[i, c]).sum()))
    assert sdsc(torch.tensor(e), torch.tensor(r)) == pytest.approx(np.mean(scores), rel=1e-12)


def test_a_small_inversion_has_a_small_squared_error_but_no_overlap() -> None:
    e = 0.05 * signal(100)
    assert (2 * e).square().mean() < 0.05
    assert sdsc(e, -e) == 0


def test_what_is_not_known_is_left_out() -> None:
    e, r = signal(4, 2, 30), signal(4, 2, 30, seed=1)
    e[..., 20:] = torch.nan
    assert sdsc(e, r) == pytest.approx(sdsc(e[..., :20], r[..., :20]))
    e[1] = torch.nan
    assert sdsc(e, r) == pytest.approx(sdsc(e[[0, 2, 3], :, :20], r[[0, 2, 3], :, :20]))
    assert math.isnan(sdsc(e[1], r[1]))
