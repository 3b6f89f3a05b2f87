from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ipse.transforms import noise
from ipse.transforms.recorrupt import (
    Split,
    additive_split,
    beta_draws,
    binomial_draws,
    binomial_split,
    gamma_split,
    gaussian_split,
    hypergeometric_draws,
    log_rayleigh_draws,
    poisson_split,
    taken_of,
)

N, X = (1, 1, 600, 600), 0.7


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussian(x: Tensor, alpha: float) -> tuple[Tensor, Split]:
    y = noise.gaussian(x, 0.2, chance())
    return y, gaussian_split(y, torch.randn(y.shape, generator=chance(1)).double(), 0.2, alpha)


def poisson(x: Tensor, alpha: float) -> tuple[Tensor, Split]:
    y = noise.poisson(x, 0.1, chance())
    return y, poisson_split(y, binomial_draws(y / 0.1, alpha, torch.rand(y.shape, generator=chance(1)).double()), 0.1, alpha)


def gamma(x: Tensor, alpha: float) -> tuple[Tensor, Split]:
    y = noise.gamma(x, 4.0, chance())
    return y, gamma_split(y, beta_draws(y.shape, 4.0, alpha, chance(1)), alpha)


def log_rayleigh(x: Tensor, alpha: float) -> tuple[Tensor, Split]:
    y = noise.log_rayleigh(x, 0.2, chance())
    return y, additive_split(y, log_rayleigh_draws(y.shape, 0.2, alpha, chance(1)), alpha)


def binomial(x: Tensor, alpha: float) -> tuple[Tensor, Split]:
    y = noise.binomial(x, 20, chance())
    uniform = torch.rand(y.shape, dtype=torch.float64, generator=chance(1))
    w = hypergeometric_draws(20 * y, 20, taken_of(20, alpha), uniform)
    return y, binomial_split(y, w, 20, alpha)


FAMILIES: dict[str, Callable[[Tensor, float], tuple[Tensor, Split]]] = {
    "gaussian": gaussian,
    "poisson": poisson,
    "gamma": gamma,
    "binomial": binomial,
    "log-rayleigh": log_rayleigh,
}
each = pytest.mark.parametrize("family", FAMILIES)


@each
@pytest.mark.parametrize("alpha", [0.15, 0.5])
def test_means_covariance_and_sum(family: str, alpha: float) -> None:
    y, (first, second) = FAMILIES[family](torch.full(N, X, dtype=torch.float64), alpha)
    torch.testing.assert_close((1 - alpha) * first + alpha * second, y)
    e1, e2 = first - X, second - X
    for e in (e1, e2):
        assert e.mean().item() == pytest.approx(0, abs=4 * e.std().item() / math.sqrt(e.numel()))
    assert (e1 * e2).mean().item() == pytest.approx(0, abs=4 * (e1 * e2).std().item() / math.sqrt(e1.numel()))


@each
def test_the_error_of_y2_has_no_mean_given_y1(family: str) -> None:
    """What makes the loss unbiased for any net: y2 - x must not follow any function of y1."""
    _, (first, second) = FAMILIES[family](torch.full(N, X, dtype=torch.float64), 0.15)
    z = (first - first.mean()) / first.std()
    for f in (z**2, z**3, torch.tanh(2 * z), (z > 1).double(), (z < -1.5).double()):
        product = f * (second - X)
        assert product.mean().item() == pytest.approx(0, abs=4 * product.std().item() / math.sqrt(product.numel()))


@each
def test_the_loss_is_the_supervised_one_and_a_constant(family: str) -> None:
    x = torch.rand(N, dtype=torch.float64, generator=chance(3)) * 0.7 + 0.3
    _, (first, second) = FAMILIES[family](x, 0.3)

    def apart(f: Callable[[Tensor], Tensor]) -> float:
        return float(((f(first) - second) ** 2 - (f(first) - x) ** 2).mean())

    constant = [apart(lambda y: y), apart(lambda y: 0.2 + 0.5 * y), apart(lambda y: y.clamp(0.4, 0.9))]
    assert constant[1:] == pytest.approx([constant[0]] * 2, rel=0.02)


def test_gaussian_halves_have_the_variances_of_their_shares() -> None:
    _, (first, second) = gaussian(torch.full(N, X, dtype=torch.float64), 0.2)
    assert first.var().item() == pytest.approx(0.04 / 0.8, rel=0.02)
    assert second.var().item() == pytest.approx(0.04 / 0.2, rel=0.02)


def test_the_gamma_split_by_hand() -> None:
    first, second = gamma_split(torch.tensor(2.0), torch.tensor(0.25), 0.5)
    assert (first.item(), second.item()) == (3.0, 1.0)


def test_the_poisson_split_by_hand() -> None:
    first, second = poisson_split(torch.tensor(1.0), torch.tensor(1.0), 0.25, 0.5)
    assert (first.item(), second.item()) == (1.5, 0.5)


def test_the_best_linear_denoiser_of_gaussian_noise() -> None:
    alpha, sigma = 0.2, 0.5
    x = torch.randn(N, dtype=torch.float64, generator=chance(4))
    y = noise.gaussian(x, sigma, chance())
    first, second = gaussian_split(y, torch.randn(N, dtype=torch.float64, generator=chance(1)), sigma, alpha)
    best = (first * second).mean() / first.square().mean()
    assert best.item() == pytest.approx(1 / (1 + sigma**2 / (1 - alpha)), abs=0.01)


def test_binomial_draws_are_the_inverse_of_the_distribution() -> None:
    from scipy.stats import binom

    uniform = torch.linspace(0.0005, 0.9995, 1000, dtype=torch.float64)
    for z in (0, 1, 7, 60, 900):
        counts = binomial_draws(torch.full_like(uniform, z), 0.3, uniform)
        assert counts.tolist() == binom.ppf(uniform.numpy(), z, 0.3).clip(0).tolist()
    counts = binomial_draws(torch.full((100_000,), 50_000.0), 0.15, torch.rand(100_000, generator=chance()))
    assert counts.mean().item() == pytest.approx(7500, rel=1e-3)
    assert counts.double().var().item() == pytest.approx(6375, rel=0.02)


def test_hypergeometric_draws_are_the_inverse_of_the_distribution() -> None:
    from scipy.stats import hypergeom

    uniform = torch.linspace(0.0005, 0.9995, 1000, dtype=torch.float64)
    for trials, z, taken in ((20, 7, 3), (20, 0, 3), (20, 20, 3), (2, 1, 1), (60, 55, 30), (400, 90, 120)):
        counts = hypergeometric_draws(torch.full_like(uniform, z), trials, torch.tensor(float(taken)), uniform)
        assert counts.tolist() == hypergeom.ppf(uniform.numpy(), trials, z, taken).tolist()
    uniform = torch.rand(100_000, generator=chance())
    counts = hypergeometric_draws(torch.full((100_000,), 40_000.0), 100_000, torch.tensor(20_000.0), uniform)
    assert counts.mean().item() == pytest.approx(8000, rel=1e-3)
    assert counts.double().var().item() == pytest.approx(20_000 * 0.4 * 0.6 * 0.8, rel=0.02)


def test_the_binomial_split_by_hand() -> None:
    assert taken_of(10, 0.15).item() == 2
    assert taken_of(2, 0.99).item() == 1
    first, second = binomial_split(torch.tensor(0.5), torch.tensor(2.0), 10, 0.2)
    assert (first.item(), second.item()) == (3 / 8, 1.0)


def test_small_beta_shapes_do_not_underflow() -> None:
    w = beta_draws((1, 1, 300, 300), 0.1, 0.1, chance())
    assert w.isfinite().all()
    assert w.mean().item() == pytest.approx(0.1, abs=0.01)


def test_cumulants_of_what_is_added_to_log_rayleigh_noise() -> None:
    """kappa_k(w) = kappa_k(e) tau^(2 - k)."""
    alpha = 0.3
    tau = math.sqrt(alpha / (1 - alpha))
    w = log_rayleigh_draws((1, 1, 1500, 1500), noise.LOG_RAYLEIGH_STD, alpha, chance())
    third = -2 * 1.2020569031595942 / 8
    assert w.mean().item() == pytest.approx(0, abs=0.002)
    assert w.var().item() == pytest.approx(math.pi**2 / 24, rel=0.01)
    assert (w**3).mean().item() == pytest.approx(third / tau, rel=0.03)


@pytest.mark.parametrize("family", ["gaussian", "poisson", "gamma"])
def test_splits_as_deepinv_does(family: str) -> None:
    r2r = pytest.importorskip("deepinv.loss.r2r")
    y, level, alpha = (
        noise.poisson(torch.full((1, 1, 400, 400), 0.8), 0.1, chance()),
        {"gaussian": 0.1, "poisson": 0.1, "gamma": 4.0}[family],
        0.15,
    )
    make = {"gaussian": r2r.set_gaussian_corruptor, "poisson": r2r.set_binomial_corruptor, "gamma": r2r.set_beta_corruptor}[
        family
    ]
    torch.manual_seed(0)
    theirs = make(y, alpha, level)()
    ours = {
        "gaussian": lambda: gaussian_split(y, torch.randn(y.shape, generator=chance(1)), level, alpha),
        "poisson": lambda: poisson_split(
            y, binomial_draws(y / level, alpha, torch.rand(y.shape, generator=chance(1))), level, alpha
        ),
        "gamma": lambda: gamma_split(y, beta_draws(y.shape, level, alpha, chance(1)).float(), alpha),
    }[family]().first
    for moment in (1, 2, 3):
        a, b = ((v - y) ** moment if moment > 1 else v for v in (ours, theirs))
        spread = math.sqrt((a.var() + b.var()).item() / a.numel())
        assert a.mean().item() == pytest.approx(b.mean().item(), abs=5 * spread)


def test_the_loss_as_deepinv_computes_it() -> None:
    """Written down from deepinv 0.5.0: R2RLoss of y = [0.2, 0.7], y1 = [0.25, 0.6], f(y1) = [0.3, 0.5], alpha = 0.15."""
    from ipse.losses.restoration_likelihood import recorrupted

    y, first, prediction, alpha = torch.tensor([0.2, 0.7]), torch.tensor([0.25, 0.6]), torch.tensor([0.3, 0.5]), 0.15
    second = (y - (1 - alpha) * first) / alpha
    assert recorrupted(prediction, second).item() == pytest.approx(0.36736074, rel=1e-5)
