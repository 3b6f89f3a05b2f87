"""One noisy signal split into two whose errors are uncorrelated given the first, each with the clean signal as its mean.

`y`: the noisy signal (B, C, H, W); `alpha` in (0, 1): the share of the information that the second half gets, 1 - alpha is left to the first.
`w` is what is drawn, of y's shape; `*_draws` draw it. Levels (sigma, gain, looks) are numbers or tensors (B, 1, 1, 1).

Monroy, Bacca & Tachella, CVPR 2025, arXiv:2412.04648
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ipse.transforms.noise import LOG_RAYLEIGH_STD


class Split(NamedTuple):
    """y1, which a net sees, and y2, which it is compared with: (B, C, H, W) each; (1 - alpha) y1 + alpha y2 = y."""

    first: Tensor
    second: Tensor


def gaussian_split(y: Tensor, w: Tensor, sigma: float | Tensor, alpha: float) -> Split:
    """Of y = x + N(0, sigma^2): y1 = y + tau sigma w, y2 = y - sigma w / tau, tau^2 = alpha / (1 - alpha), w ~ N(0, 1).

    The halves are independent, with variances sigma^2 / (1 - alpha) and sigma^2 / alpha.
    """
    return additive_split(y, sigma * w, alpha)


def poisson_split(y: Tensor, w: Tensor, gain: float | Tensor, alpha: float) -> Split:
    """Of y = gain z, z ~ Poisson(x / gain): y1 = (y - gain w) / (1 - alpha), y2 = gain w / alpha, w ~ Binomial(z, alpha)."""
    first = (y - gain * w) / (1 - alpha)
    return Split(first, (y - (1 - alpha) * first) / alpha)


def gamma_split(y: Tensor, w: Tensor, alpha: float) -> Split:
    """Of y with the mean x and so many looks: y1 = y (1 - w) / (1 - alpha), y2 = y w / alpha, w ~ Beta(looks alpha, looks (1 - alpha))."""
    return Split(y * (1 - w) / (1 - alpha), y * w / alpha)


def binomial_split(y: Tensor, w: Tensor, trials: float | Tensor, alpha: float) -> Split:
    """Of y = z / trials, z ~ Binomial(trials, x): of the trials `taken` are drawn without looking, and w of these had succeeded.

    y1 = (z - w) / (trials - taken),  y2 = w / taken,  w ~ Hypergeometric(trials, z, taken),  taken = `taken_of(trials, alpha)`
    """
    taken = taken_of(trials, alpha).to(y)
    z = y * trials
    return Split((z - w) / (trials - taken), w / taken)


def taken_of(trials: float | Tensor, alpha: float) -> Tensor:
    """Of at least two trials a share of about alpha, but whole ones, and neither none nor all."""
    trials = torch.as_tensor(trials, dtype=torch.float64)
    return torch.minimum((alpha * trials).round().clamp_min(1), trials - 1)


def additive_split(y: Tensor, w: Tensor, alpha: float) -> Split:
    """Of y = x + e with any e that can be divided without end: y1 = y + tau w, y2 = y - w / tau, tau^2 = alpha / (1 - alpha).

    The cumulants of w must be those of e times tau^(2 - k). Then w = e' / tau, where e' grows in the time tau^2 as e grew in the
    time 1, and E[y2 | y1] = E[x | y1]. With the first K cumulants alone that is true for polynomials of y1 of a degree below K.
    """
    tau = math.sqrt(alpha / (1 - alpha))
    return Split(y + tau * w, y - w / tau)


def binomial_draws(z: Tensor, alpha: float, uniform: Tensor) -> Tensor:
    """Binomial(z, alpha) counts of uniform numbers in [0, 1), by inversion: the same number always gives the same count.

    z: counts, rounded to whole ones, negative ones to 0. Where (1 - alpha)^z is no number any more, the normal distribution stands in.
    """
    z, u = z.double().round().clamp_min(0), uniform.double()
    many = z * math.log1p(-alpha) < -700
    few = torch.where(many, 0, z)
    mass = (few * math.log1p(-alpha)).exp()
    total, count, odds = mass.clone(), torch.zeros_like(z), alpha / (1 - alpha)
    for k in range(int(few.max())):
        above = (u >= total) & (count == k) & (few > k)
        if not above.any():
            break
        mass = mass * (few - k) / (k + 1) * odds
        total, count = total + mass, count + above
    normal = z * alpha + (z * alpha * (1 - alpha)).sqrt() * torch.special.ndtri(u.clamp(1e-12, 1 - 1e-12))
    return torch.where(many, normal.round().clamp_min(0).minimum(z), count).to(uniform.dtype)


def hypergeometric_draws(z: Tensor, trials: float | Tensor, taken: Tensor, uniform: Tensor, many: int = 500) -> Tensor:
    """How many of the `taken` trials had succeeded when z of all had, of uniform numbers in [0, 1), by inversion.

    z: counts, rounded to whole ones and to 0 .. trials. Where more than `many` are taken, the normal distribution stands in.
    """
    u, n = uniform.double(), torch.as_tensor(trials, dtype=torch.float64)
    z = torch.minimum(z.double().round().clamp_min(0), n)

    def ways(of: Tensor, some: Tensor | float) -> Tensor:
        some = torch.as_tensor(some, dtype=torch.float64)
        return torch.lgamma(of + 1) - torch.lgamma(some + 1) - torch.lgamma(of - some + 1)

    count, total = torch.zeros_like(z), torch.zeros_like(z)
    for k in range(int(torch.where(taken > many, 0, taken).max())):
        possible = (z >= k) & (n - z >= taken - k) & (taken >= k)
        some, others = torch.where(possible, z, k), torch.where(possible, n - z, (taken - k).clamp_min(0))
        mass = (ways(some, k) + ways(others, (taken - k).clamp_min(0)) - ways(n, taken)).exp()
        total = total + torch.where(possible, mass, 0.0)
        count = count + (u >= total)
    mean = taken * z / n
    spread = (mean * (1 - z / n) * (n - taken) / (n - 1).clamp_min(1)).clamp_min(0).sqrt()
    normal = (mean + spread * torch.special.ndtri(u.clamp(1e-12, 1 - 1e-12))).round()
    found = torch.where(taken > many, normal, count)
    return torch.minimum(torch.maximum(found, (z - (n - taken)).clamp_min(0)), torch.minimum(z, taken)).to(uniform.dtype)


def beta_draws(shape: Sequence[int], looks: float | Tensor, alpha: float, chance: torch.Generator) -> Tensor:
    """Beta(looks alpha, looks (1 - alpha)) shares, in float64, since small shapes underflow."""
    looks = torch.as_tensor(looks, dtype=torch.float64)
    small, large = (
        torch._standard_gamma((looks * part).expand(*shape).contiguous(), generator=chance) for part in (alpha, 1 - alpha)
    )
    return small / (small + large).clamp_min(torch.finfo(torch.float64).tiny)


def log_rayleigh_draws(
    shape: Sequence[int], sigma: float | Tensor, alpha: float, chance: torch.Generator, terms: int = 8
) -> Tensor:
    """The w of `additive_split` for the log-Rayleigh noise of `ipse.transforms.noise` with the standard deviation sigma.

        e = 1/2 (log E + Euler's constant) = -1/2 sum over j >= 1 of (E_j - 1) / j,   E, E_j ~ Exp(1)

    In the time t = tau^2 each E_j - 1 becomes Gamma(t) - t. The sum after `terms` of them is drawn as one normal variable of the same
    variance; of the third cumulant that leaves out 0.6 % with 8 terms.
    """
    time = alpha / (1 - alpha)
    sizes = torch.full(tuple(shape), time, dtype=torch.float64)
    grown = torch.zeros_like(sizes)
    for j in range(1, terms + 1):
        grown -= (torch._standard_gamma(sizes, generator=chance) - time) / (2 * j)
    rest = (math.pi**2 / 6 - sum(j**-2 for j in range(1, terms + 1))) / 4
    grown += math.sqrt(time * rest) * torch.randn(sizes.shape, dtype=torch.float64, generator=chance)
    return grown / math.sqrt(time) * torch.as_tensor(sigma, dtype=torch.float64) / LOG_RAYLEIGH_STD
