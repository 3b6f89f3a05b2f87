from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ipse.transforms import noise


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


KINDS: dict[str, tuple[Callable[[Tensor, torch.Generator], Tensor], float]] = {  # with the variance at x = 0.5
    "gaussian": (lambda x, g: noise.gaussian(x, 0.1, g), 0.01),
    "correlated": (lambda x, g: noise.correlated_gaussian(x, 0.1, g), 0.01),
    "poisson": (lambda x, g: noise.poisson(x, 0.05, g), 0.025),
    "gamma": (lambda x, g: noise.gamma(x, 5.0, g), 0.05),
    "binomial": (lambda x, g: noise.binomial(x, 20, g), 0.0125),
    "log-rayleigh": (lambda x, g: noise.log_rayleigh(x, 0.1, g), 0.01),
}


@pytest.mark.parametrize("kind", KINDS)
def test_mean_variance_and_determinism(kind: str) -> None:
    make, variance = KINDS[kind]
    x = torch.full((1, 3, 256, 256), 0.5)
    y = make(x, chance())
    assert y.dtype == x.dtype
    assert y.mean().item() == pytest.approx(0.5, abs=5 * math.sqrt(9 * variance / y.numel()))
    assert y.var().item() == pytest.approx(variance, rel=0.03)
    assert torch.equal(y, make(x, chance()))
    assert not torch.equal(y, make(x, chance(1)))


def test_correlated_noise_is_that_of_a_3x3_mean() -> None:
    n = noise.correlated_gaussian(torch.zeros(1, 1, 512, 512), 1.0, chance())
    for distance, expected in enumerate((1, 2 / 3, 1 / 3, 0)):
        assert (n * n.roll(distance, -1)).mean().item() == pytest.approx(expected, abs=0.03)


def test_poisson_is_a_multiple_of_its_gain_and_gamma_is_positive() -> None:
    x = torch.rand(1, 1, 64, 64, generator=chance())
    counts = noise.poisson(x, 0.05, chance()) / 0.05
    torch.testing.assert_close(counts, counts.round(), atol=1e-4, rtol=0)
    assert (noise.gamma(x + 0.01, 0.5, chance()) >= 0).all()


def test_log_rayleigh_is_skewed_as_the_logarithm_of_amplitudes() -> None:
    n = noise.log_rayleigh(torch.zeros(1, 1, 1024, 1024), 1.0, chance()).double()
    zeta3 = 1.2020569031595942
    assert (n**3).mean().item() == pytest.approx(-2 * zeta3 / 8 / noise.LOG_RAYLEIGH_STD**3, rel=0.03)
    amplitude = noise.speckle(torch.ones(1, 1, 1024, 1024), chance()).square().sum(1).sqrt().log()
    assert amplitude.std().item() == pytest.approx(noise.LOG_RAYLEIGH_STD, rel=0.01)


@pytest.mark.parametrize("size", [1, 3])
def test_speckle(size: int) -> None:
    reflectivity = torch.full((1, 1, 512, 512), 4.0)
    z = noise.speckle(reflectivity, chance(), size)
    intensity = z.square().sum(1)
    assert intensity.mean().item() == pytest.approx(4, rel=0.02)
    assert intensity.var().item() == pytest.approx(16, rel=0.08)
    a, b = z[:, 0], z[:, 1]
    assert a.var().item() == pytest.approx(2, rel=0.03)
    for distance in range(3):
        assert (a * b.roll(distance, -1)).mean().item() == pytest.approx(0, abs=0.03)
    assert (a * a.roll(1, -1)).mean().item() == pytest.approx(2 * (2 / 3) * (size == 3), abs=0.06)
