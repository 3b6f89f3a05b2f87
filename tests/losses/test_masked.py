from __future__ import annotations

import numpy as np
import pytest
import torch

from ipse.losses import masked_mse, masked_series_mse


def test_equals_the_slow_version() -> None:
    generator = torch.Generator().manual_seed(0)
    prediction, target = torch.randn(2, 3, 5, 8, dtype=torch.float64, generator=generator)
    mask = torch.rand(3, 5, generator=generator) < 0.6
    errors: dict[bool, list[float]] = {True: [], False: []}
    for b, n in zip(*np.nonzero(mask.numpy()), strict=True):
        x = target[b, n].numpy()
        for normalize in errors:
            y = (x - x.mean()) / np.sqrt(x.var(ddof=1) + 1e-6) if normalize else x
            errors[normalize].append(np.mean((prediction[b, n].numpy() - y) ** 2))
    for normalize, values in errors.items():
        assert masked_mse(prediction, target, mask, normalize).item() == pytest.approx(np.mean(values), rel=1e-10)


def test_visible_patches_do_not_matter() -> None:
    prediction, target = torch.randn(2, 2, 4, 6)
    mask = torch.tensor([[True, False, True, False]] * 2)
    changed = torch.where(mask[..., None], prediction, 1e3)
    torch.testing.assert_close(masked_mse(prediction, target, mask), masked_mse(changed, target, mask))


def test_a_plain_patch_and_an_empty_mask_are_survived() -> None:
    prediction, target = torch.zeros(1, 2, 4), torch.full((1, 2, 4), 7.0)
    assert masked_mse(prediction, target, torch.tensor([[True, True]])).item() == 0
    assert masked_mse(prediction, target, torch.tensor([[False, False]]), normalize=False).item() == 0


def test_targets_that_are_not_known_take_no_part() -> None:
    """A patch is standardized by what is known of it; of the last patch nothing is."""
    prediction, target = torch.randn(2, 2, 3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    target[:, 0, 4:] = target[:, 2] = torch.nan
    prediction.requires_grad_()
    errors = []
    for b in range(2):
        for x, guess in ((target[b, 0, :4], prediction[b, 0, :4]), (target[b, 1], prediction[b, 1])):
            errors.append((guess - (x - x.mean()) / (x.var() + 1e-6).sqrt()).square())
    loss = masked_mse(prediction, target, torch.ones(2, 3, dtype=torch.bool))
    torch.testing.assert_close(loss, torch.cat(errors).mean())
    loss.backward()
    assert prediction.grad is not None
    assert bool((prediction.grad != 0).eq(~target.isnan()).all())


class TestSeries:
    def test_the_gradient_is_zero_but_where_a_known_value_was_hidden(self) -> None:
        prediction, target = torch.randn(2, 4, 2, 10, generator=torch.Generator().manual_seed(0))
        target[:, 0, 7:] = torch.nan
        prediction[0, 1, 3] = torch.nan  # where nothing was hidden
        prediction.requires_grad_()
        mask = torch.arange(10) >= 5
        loss = masked_series_mse(prediction, target, mask)
        loss.backward()
        known = torch.cat([(prediction - target)[:, 0, 5:7].flatten(), (prediction - target)[:, 1, 5:].flatten()])
        torch.testing.assert_close(loss, known.square().mean())
        assert prediction.grad is not None
        counted = mask & ~target.isnan()
        assert bool((prediction.grad != 0).eq(counted).all())
        torch.testing.assert_close(prediction.grad[counted], (2 * (prediction - target) / len(known))[counted])

    def test_a_target_of_which_nothing_is_known_costs_nothing(self) -> None:
        prediction = torch.randn(3, 5, requires_grad=True)
        loss = masked_series_mse(prediction, torch.full((3, 5), torch.nan), torch.ones(3, 1, dtype=torch.bool))
        loss.backward()
        assert loss.item() == 0
        assert prediction.grad is not None
        assert not prediction.grad.any()

    def test_the_best_linear_prediction_of_the_next_step_is_the_coefficient(self) -> None:
        """x_{t+1} = 0.8 x_t + noise, a tenth of it not known: least squares over what is known."""
        generator = torch.Generator().manual_seed(0)
        x = [torch.zeros(200, dtype=torch.float64)]
        for _ in range(60):
            x.append(0.8 * x[-1] + torch.randn(200, dtype=torch.float64, generator=generator))
        series = torch.stack(x, 1)[:, 20:]
        target = series[:, 1:].masked_fill(torch.rand(200, 40, generator=generator) < 0.1, torch.nan)
        a = torch.zeros((), dtype=torch.float64, requires_grad=True)
        everything = torch.ones(1, 1, dtype=torch.bool)
        (gradient,) = torch.autograd.grad(masked_series_mse(a * series[:, :-1], target, everything), a)
        (other,) = torch.autograd.grad(masked_series_mse((a + 1) * series[:, :-1], target, everything), a)
        assert (gradient / (gradient - other)).item() == pytest.approx(0.8, abs=0.03)  # where the linear gradient is 0
