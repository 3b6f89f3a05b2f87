from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from ipse.errors import UserError
from ipse.losses import koleo


@pytest.mark.parametrize("n", [2, 3, 8, 100])
def test_equally_spaced_points_on_the_circle(n: int) -> None:
    angle = 2 * math.pi * torch.arange(n, dtype=torch.float64) / n
    z = torch.stack([angle.cos(), angle.sin()], dim=1)
    assert koleo(z).item() == pytest.approx(-math.log(2 * math.sin(math.pi / n)), abs=1e-6)
    torch.testing.assert_close(koleo(7 * z), koleo(z))


def test_equals_the_slow_version() -> None:
    z = torch.randn(30, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = z.numpy() / np.linalg.norm(z.numpy(), axis=1, keepdims=True)
    nearest = (cdist(x, x) + 9 * np.eye(30)).min(axis=1)
    assert koleo(z).item() == pytest.approx(-np.log(nearest).mean(), abs=1e-6)


def test_it_grows_without_bound_when_two_meet() -> None:
    losses = [koleo(torch.tensor([[1.0, 0.0], [1.0, gap]], dtype=torch.float64)).item() for gap in (1e-1, 1e-3, 1e-6)]
    assert losses == sorted(losses)
    assert losses[-1] > 13
    z = torch.ones(3, 2, requires_grad=True)
    loss = koleo(z, eps=1e-6)
    assert loss.item() == pytest.approx(-math.log(1e-6), rel=1e-4)
    loss.backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()


def test_descent_spreads_what_was_close() -> None:
    z = torch.tensor([[1.0, 0.1], [1.0, 0.0], [1.0, -0.1]], requires_grad=True)
    before = koleo(z)
    (gradient,) = torch.autograd.grad(before, z)
    assert koleo(z - 1e-3 * gradient) < before


def test_one_sample_has_no_neighbour() -> None:
    with pytest.raises(UserError, match="at least 2 samples"):
        koleo(torch.ones(1, 3))
