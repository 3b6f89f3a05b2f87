"""The doubly robust loss: what it is when the teacher is right, and that it is right when the teacher is wrong."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ipse.losses import doubly_robust, doubly_robust_mean

HAS = torch.tensor([True, True, False, False, False])


def losses(seed: int = 0) -> tuple[Tensor, Tensor]:
    pseudo, true = torch.rand(2, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return pseudo, true


def test_by_hand() -> None:
    pseudo, true = losses()
    expected = pseudo.mean() - pseudo[:2].mean() + true[:2].mean()
    torch.testing.assert_close(doubly_robust(pseudo, true, HAS), expected)


@pytest.mark.parametrize("correction", [0.0, 0.3, 1.0])
def test_a_teacher_that_is_right_about_the_labelled_leaves_its_mean_loss(correction: float) -> None:
    pseudo, true = losses()
    true[:2] = pseudo[:2]
    torch.testing.assert_close(doubly_robust(pseudo, true, HAS, correction), pseudo.mean())


def test_without_correction_or_labels_it_is_the_loss_of_the_pseudo_labels() -> None:
    pseudo, true = losses()
    torch.testing.assert_close(doubly_robust(pseudo, true, HAS, 0.0), pseudo.mean())
    torch.testing.assert_close(doubly_robust(pseudo, true, HAS & False), pseudo.mean())


def test_labels_that_are_not_there_do_not_count_even_where_they_are_not_finite() -> None:
    pseudo, true = losses()
    expected = doubly_robust(pseudo, true, HAS)
    true[2:] = torch.nan
    torch.testing.assert_close(doubly_robust(pseudo, true, HAS), expected)


def test_the_mean_with_a_constant_guess_is_that_of_the_labelled() -> None:
    y = torch.tensor([1.0, 4.0, 7.0])
    assert doubly_robust_mean(torch.full((20,), 9.0), torch.full((3,), 9.0), y) == 4.0


def test_the_mean_minimises_the_squared_loss() -> None:
    guess, y = torch.randn(5, generator=torch.Generator().manual_seed(0)), torch.tensor([0.5, -1.0])
    theta = doubly_robust_mean(guess, guess[:2], y).requires_grad_()
    target = torch.cat([y, torch.zeros(3)])
    doubly_robust((theta - guess) ** 2, (theta - target) ** 2, HAS).backward()
    assert theta.grad is not None
    assert theta.grad.abs() < 1e-6


def gradients(shifted: bool = False) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradient of a logistic regression's loss at 0: the oracle's, the doubly robust and plain ones' means over many draws, and their errors.

    The teacher labels by a rule that has nothing to do with the truth. shifted: the labelled are drawn more often where x > 0.
    """
    chance = torch.Generator().manual_seed(1)
    draws, n, m = 4000, 8, 24
    x = torch.randn(draws, n + m, generator=chance, dtype=torch.float64)
    ratio = torch.ones(draws, n, dtype=torch.float64)
    if shifted:
        flips = torch.rand(draws, n, generator=chance) < 0.8
        x[:, :n] = torch.where(flips, x[:, :n].abs(), -x[:, :n].abs())
        ratio = torch.where(x[:, :n] > 0, 0.5 / 0.8, 0.5 / 0.2).double()
    y = (torch.rand(draws, n + m, generator=chance) < torch.sigmoid(2 * x + 1)).double()
    wrong = (x < 0.3).double()
    has = torch.arange(n + m) < n
    theta = torch.zeros(draws, dtype=torch.float64, requires_grad=True)
    oracle = ((0.5 - torch.sigmoid(2 * torch.linspace(-6, 6, 20001) + 1)) * torch.linspace(-6, 6, 20001)).double()
    density = torch.distributions.Normal(0, 1).log_prob(torch.linspace(-6, 6, 20001)).exp().double()
    expected = torch.trapezoid(oracle * density, torch.linspace(-6, 6, 20001).double())
    logits = theta[:, None] * x

    def each(target: Tensor) -> Tensor:
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")

    pseudo, true = each(wrong), each(y)
    whole = torch.cat([ratio, torch.ones(draws, m, dtype=torch.float64)], 1) if shifted else None
    robust = torch.stack(
        [doubly_robust(pseudo[i], true[i], has, 1.0, None if whole is None else whole[i]) for i in range(draws)]
    )
    plain = torch.where(has, true, pseudo).mean(1)
    g, b = (torch.autograd.grad(loss.sum(), theta, retain_graph=True)[0] for loss in (robust, plain))
    return expected, g, b, torch.stack([g.std(), b.std()]) / draws**0.5


def test_its_gradient_is_that_of_true_labels_on_average_and_the_plain_ones_is_not() -> None:
    expected, robust, plain, error = gradients()
    assert (robust.mean() - expected).abs() < 4 * error[0]
    assert (plain.mean() - expected).abs() > 20 * error[1]


def test_with_the_ratio_of_densities_it_stands_labels_that_were_not_drawn_evenly() -> None:
    expected, robust, _, error = gradients(shifted=True)
    assert (robust.mean() - expected).abs() < 4 * error[0]
