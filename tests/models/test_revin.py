from __future__ import annotations

import numpy as np
import pytest
import torch

from ipse.models.revin import RevIN, denormalise, normalise, statistics


def series(gaps: bool = True) -> torch.Tensor:
    x = 5 + 3 * torch.randn(4, 2, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    if gaps:
        x[:, :, 25:] = x[0, 1, 3] = torch.nan
    return x


def test_equals_the_slow_version() -> None:
    x = series()
    y, mean, scale = normalise(x, eps=1e-5)
    for b, c in np.ndindex(4, 2):
        known = x[b, c][~x[b, c].isnan()].numpy()
        assert mean[b, c].item() == pytest.approx(known.mean())
        assert scale[b, c].item() == pytest.approx(np.sqrt(known.var() + 1e-5))
    torch.testing.assert_close(y, (x - mean) / scale, equal_nan=True)
    assert bool(y.isnan().eq(x.isnan()).all())


def test_it_is_undone() -> None:
    x = series()
    torch.testing.assert_close(denormalise(*normalise(x)), x, equal_nan=True)
    module = RevIN(2).double()
    with torch.no_grad():
        module.gain.copy_(torch.tensor([[2.0], [0.3]]))
        module.shift.copy_(torch.tensor([[-1.0], [4.0]]))
    torch.testing.assert_close(module.inverse(*module(x)), x, equal_nan=True)


def test_a_forecast_follows_scale_and_shift_of_its_series() -> None:
    x, weights = series(gaps=False), torch.randn(30, 8, dtype=torch.float64)

    def forecast(x: torch.Tensor) -> torch.Tensor:
        y, mean, scale = normalise(x)
        return denormalise(torch.tanh(y) @ weights, mean, scale)

    torch.testing.assert_close(forecast(7 * x - 100), 7 * forecast(x) - 100, rtol=1e-4, atol=1e-4)


def test_padding_changes_nothing() -> None:
    x = series()
    for whole, part in zip(statistics(x), statistics(x[..., :25]), strict=True):
        torch.testing.assert_close(whole, part)


def test_a_constant_series_and_one_of_which_nothing_is_known() -> None:
    y, mean, scale = normalise(torch.stack([torch.full((1, 9), 4.0), torch.full((1, 9), torch.nan)]))
    assert not y[0].any()
    assert y[1].isnan().all()
    assert (mean[1].item(), scale[1].item()) == (0, 1)
    assert denormalise(torch.ones(2, 1, 3), mean, scale).isfinite().all()


def test_keys_by_the_statistics_of_their_query() -> None:
    x = series(gaps=False)
    module = RevIN(2).double()
    _, mean, scale = module(x)
    keys, *_ = module(10 * x, (mean, scale))
    torch.testing.assert_close(keys, (10 * x - mean) / scale)
    assert keys.std() > 9


def test_statistics_are_detached() -> None:
    x = series(gaps=False).requires_grad_()
    y, mean, scale = normalise(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert not mean.requires_grad
    torch.testing.assert_close(gradient, (1 / scale).expand_as(x))


def test_missing_values_leave_the_gradient_of_the_gain_finite() -> None:
    module = RevIN(2).double()
    y, *_ = module(series())
    y.nansum().backward()
    assert module.gain.grad.isfinite().all()
    assert module.shift.grad.flatten().tolist() == (~series().isnan()).sum(dim=(0, 2)).tolist()
