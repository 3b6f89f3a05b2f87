from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ipse.losses import sdsc_loss
from ipse.metrics.sdsc import sdsc


def signals() -> tuple[Tensor, Tensor]:
    x = torch.randn(2, 4, 3, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return x[0], x[0] + x[1]


def test_it_becomes_the_metric_as_the_sigmoid_sharpens() -> None:
    e, r = signals()
    errors = [abs(1 - sdsc_loss(r, e, sharpness=a).item() - sdsc(e, r)) for a in (1, 10, 100, 1e4, 1e8)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-9


def test_half_and_twice_the_amplitude() -> None:
    e = torch.tensor([[1.0, -2.0, 3.0]])
    for c in (0.5, 2.0):
        assert 1 - sdsc_loss(c * e, e).item() == pytest.approx(2 / 3, abs=1e-6)
    assert sdsc_loss(e, e).item() == pytest.approx(0, abs=1e-6)
    assert sdsc_loss(-e, e).item() == pytest.approx(1, abs=1e-6)


def test_the_hybrid_adds_the_squared_error() -> None:
    e, r = signals()
    expected = 0.5 * sdsc_loss(r, e) + 2 * (r - e).square().mean()
    torch.testing.assert_close(sdsc_loss(r, e, weight=0.5, mse_weight=2.0), expected)


def test_targets_that_are_not_known_take_no_part() -> None:
    e, r = signals()
    hidden = torch.arange(50) >= 40
    r.requires_grad_()
    loss = sdsc_loss(r, e.masked_fill(hidden, torch.nan), mse_weight=1.0)
    torch.testing.assert_close(loss, sdsc_loss(r[..., :40], e[..., :40], mse_weight=1.0))
    loss.backward()
    assert r.grad is not None
    assert not r.grad[..., 40:].any()
    assert r.grad[..., :40].isfinite().all()


def test_silence() -> None:
    r = torch.zeros(2, 5, requires_grad=True)
    loss = sdsc_loss(r, torch.zeros(2, 5))
    assert loss.item() == 0
    loss.backward()
    assert r.grad is not None
    assert r.grad.isfinite().all()
