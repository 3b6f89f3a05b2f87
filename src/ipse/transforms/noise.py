"""Noise as sensors make it, laid over clean signals; each draws from the generator that it is given.

`x`: (B, C, H, W), the clean signal. `chance`: best seeded with `ipse.randomness.key(...)`; the same state gives the same noise. What
comes back is not clipped: clipping would give the noise another mean than 0.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LOG_RAYLEIGH_STD = math.pi / math.sqrt(24)
"""Of the logarithm of a Rayleigh variable."""


def gaussian(x: Tensor, sigma: float, chance: torch.Generator) -> Tensor:
    """White Gaussian noise of standard deviation sigma, as electronics add it."""
    return x + sigma * _normal(x, chance)


def correlated_gaussian(x: Tensor, sigma: float, chance: torch.Generator, size: int = 3) -> Tensor:
    """Gaussian noise averaged over size x size pixels, of standard deviation sigma afterwards: what demosaicing leaves behind."""
    return x + sigma * size * _boxed(_normal(x, chance), size)


def poisson(x: Tensor, gain: float, chance: torch.Generator) -> Tensor:
    """y = gain z with z ~ Poisson(x / gain), as few photons do: mean x, variance gain x. x must not be negative."""
    return gain * torch.poisson(x / gain, generator=chance)


def binomial(x: Tensor, trials: float, chance: torch.Generator) -> Tensor:
    """y = z / trials with z ~ Binomial(trials, x): frames of one bit, so many of them, averaged. x is in [0, 1]."""
    return torch.binomial(torch.full_like(x, trials), x, generator=chance) / trials


def gamma(x: Tensor, looks: float, chance: torch.Generator) -> Tensor:
    """Speckle of an intensity averaged over so many looks: mean x, variance x^2 / looks."""
    shape = torch.full(x.shape, looks, dtype=torch.float64, device=x.device)
    return x * (torch._standard_gamma(shape, generator=chance) / looks).to(x.dtype)


def log_rayleigh(x: Tensor, sigma: float, chance: torch.Generator) -> Tensor:
    """The logarithm of single-look amplitudes less its mean, scaled to the standard deviation sigma: skewed to the dark."""
    uniform = torch.rand(x.shape, dtype=torch.float64, device=x.device, generator=chance)
    noise = (torch.log(-torch.log1p(-uniform)) + _EULER) / 2
    return x + (sigma / LOG_RAYLEIGH_STD * noise).to(x.dtype)


def speckle(reflectivity: Tensor, chance: torch.Generator, size: int = 1) -> Tensor:
    """Single-look complex speckle z = sqrt(R) n of radar: R (B, 1, H, W) to (B, 2, H, W), real and imaginary part.

    Each part is N(0, R/2), and |z|^2 has mean R and variance R^2. size > 1: n is averaged over size x size pixels and scaled back
    to variance 1; that response is real, so that the parts stay independent of each other.

    Goodman, Speckle Phenomena in Optics, 2007
    """
    n = _normal(reflectivity.expand(-1, 2, -1, -1), chance)
    return (reflectivity / 2).sqrt() * (size * _boxed(n, size) if size > 1 else n)


_EULER = 0.5772156649015329


def _normal(x: Tensor, chance: torch.Generator) -> Tensor:
    return torch.randn(x.shape, dtype=x.dtype, device=x.device, generator=chance)


def _boxed(x: Tensor, size: int) -> Tensor:
    """The mean over size x size pixels, around the edges, so that every pixel's has the same distribution."""
    shifts = [d - size // 2 for d in range(size)]
    return torch.stack([x.roll((i, j), (-2, -1)) for i in shifts for j in shifts]).mean(0)
