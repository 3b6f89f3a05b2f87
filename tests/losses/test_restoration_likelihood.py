from __future__ import annotations

import math

import pytest
import torch

from ipse.losses.restoration_likelihood import recorrupted, recorrupted_likelihood, speckle_likelihood
from ipse.transforms import noise
from ipse.transforms.recorrupt import gaussian_split


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_speckle_is_likeliest_at_twice_the_mean_square() -> None:
    b = torch.randn(1, 1, 50, 50, dtype=torch.float64, generator=chance())
    r = torch.log(2 * b.square().mean()).requires_grad_()
    loss = speckle_likelihood(r.expand_as(b), b)
    (slope,) = torch.autograd.grad(loss, r)
    assert slope.item() == pytest.approx(0, abs=1e-12)
    assert loss.item() == pytest.approx(0.5 * r.item() + 0.5)
    for step in (-0.1, 0.1):
        assert speckle_likelihood((r + step).expand_as(b), b) > loss


def test_speckle_is_likeliest_at_the_true_reflectivity() -> None:
    reflectivity = 1 + 9 * torch.rand(1, 1, 800, 800, dtype=torch.float64, generator=chance(1))
    b = noise.speckle(reflectivity, chance())[:, 1:]
    at_truth = speckle_likelihood(reflectivity.log(), b)
    assert at_truth.item() == pytest.approx((0.5 * reflectivity.log().mean() + 0.5).item(), abs=0.005)
    for wrong in (reflectivity.log() + 0.2, reflectivity.log() - 0.2, reflectivity.mean().log().expand_as(b)):
        assert speckle_likelihood(wrong, b) > at_truth


@pytest.mark.parametrize(("family", "best"), [("gaussian", 1.5), ("poisson", 1.5), ("gamma", 1.5)])
def test_likelihoods_are_best_at_the_mean(family: str, best: float) -> None:
    second = torch.tensor([1.0, 2.0], dtype=torch.float64)
    f = torch.tensor(best, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(recorrupted_likelihood(f.expand(2), second, family), f)  # type: ignore[arg-type]
    assert slope.item() == pytest.approx(0, abs=1e-12)


def test_likelihoods_are_those_of_the_halves() -> None:
    """Up to a constant and the factors named in the docstring, by scipy's densities."""
    from scipy import stats

    alpha, gain, looks, second = 0.2, 0.1, 4.0, 1.5
    for f, g in ((1.0, 2.0), (0.7, 1.4)):
        ours = {
            k: [recorrupted_likelihood(torch.tensor([v]), torch.tensor([second]), k).item() for v in (f, g)]
            for k in ("poisson", "gamma")
        }  # type: ignore[arg-type]
        counts = round(second * alpha / gain)
        poisson = [-stats.poisson.logpmf(counts, alpha * v / gain) for v in (f, g)]
        gamma = [-stats.gamma.logpdf(second, alpha * looks, scale=v / (alpha * looks)) for v in (f, g)]
        assert ours["poisson"][0] - ours["poisson"][1] == pytest.approx((poisson[0] - poisson[1]) * gain / alpha, rel=1e-4)
        assert ours["gamma"][0] - ours["gamma"][1] == pytest.approx((gamma[0] - gamma[1]) / (alpha * looks), rel=1e-4)


def test_negative_predictions_stay_finite() -> None:
    for family in ("poisson", "gamma"):
        f = torch.tensor([-1.0, 0.0], requires_grad=True)
        loss = recorrupted_likelihood(f, torch.tensor([1.0, 2.0]), family)  # type: ignore[arg-type]
        assert loss.isfinite()


def test_without_a_second_half_the_loss_becomes_sure() -> None:
    """alpha to 0 of E(f(y1) - y2)^2, less the variance of y2: (c - 1)^2 y^2 + 2 sigma^2 c - sigma^2 for f(y) = c y, as deepinv's SureGaussianLoss has it."""
    sigma, c, alpha = 0.1, 0.6, 1e-3
    y = torch.rand(1, 1, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    draws = [torch.randn(y.shape, dtype=torch.float64, generator=chance(s)) for s in range(100)]
    splits = [gaussian_split(y, sign * w, sigma, alpha) for w in draws for sign in (1, -1)]
    # Var(y2 | y) = sigma^2 (1 - alpha) / alpha, taken off draw by draw, as it is large.
    loss = [recorrupted(c * s.first, s.second).item() - (s.second - y).square().mean().item() for s in splits]
    sure = ((1 - c) * y).square().mean().item() + 2 * c * sigma**2 - sigma**2
    assert sum(loss) / len(loss) - sigma**2 == pytest.approx(sure, rel=0.02)


def test_recorrupted_by_hand() -> None:
    assert recorrupted(torch.zeros(1, 1, 1, 2), torch.tensor([[[[3.0, 4.0]]]])).item() == 12.5
    assert math.isclose(recorrupted(torch.ones(4), torch.ones(4)).item(), 0)
