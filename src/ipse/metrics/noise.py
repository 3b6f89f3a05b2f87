"""What noise a photo holds, from the photo alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.transforms.colour import luma

_MAD = 0.6744897501960817  # of a standard normal variable
_BLOCK = 8


@dataclass(frozen=True)
class Noise:
    """Estimates of a photo with values in [0, 1].

    sigma: standard deviation of what is finer than the picture. from_light: the share of the noise's variance that grows with the
    brightness, from 0 to 1. correlation: of the noise of neighbours, 0 for white noise. brightness: mean luma.
    """

    sigma: float
    from_light: float
    correlation: float
    brightness: float


@torch.no_grad()
def gaussian_sigma(parts: Iterable[Tensor]) -> float:
    """The standard deviation of white Gaussian noise in a picture, of which `parts` (..., H, W) are given one by one.

        sigma = median |d| / 0.6745,   d = (x[i,j] - x[i,j+1] - x[i+1,j] + x[i+1,j+1]) / 2, over 2 x 2 blocks

    d: the finest diagonal wavelet coefficients, in which little of a picture is. At most a million of them are used.

    Donoho & Johnstone, Biometrika 1994

    >>> round(gaussian_sigma([0.1 * torch.randn(3, 256, 256, generator=torch.Generator().manual_seed(0))]), 2)
    0.1
    """
    found = [_diagonal(x).flatten().abs() for x in parts]
    found = [d for d in found if len(d)]
    if not found:
        return 0.0
    d = torch.cat(found)
    return float(d[:: max(1, len(d) // 1_000_000)].median()) / _MAD


@torch.no_grad()
def poisson_gain(parts: Iterable[Tensor]) -> float:
    """The gain of Poisson noise, y = gain z, in a picture given in parts (..., H, W).

        gain = (median |d| / sqrt(m) / 0.6745)^2,   d as for `gaussian_sigma`, m: the mean of each 2 x 2 block

    Where a block has one brightness, the mean of d^2 / m is the gain whatever its counts are.

    >>> chance = torch.Generator().manual_seed(0)
    >>> round(poisson_gain([0.05 * torch.poisson(torch.linspace(2, 18, 256).expand(3, 256, 256), generator=chance)]), 2)
    0.05
    """
    return gaussian_sigma(x / _block_means(x).sqrt() for x in parts) ** 2


@torch.no_grad()
def binomial_trials(parts: Iterable[Tensor]) -> float:
    """The number of trials of binomial noise, y = z / trials, of the variance x (1 - x) / trials, in a picture in [0, 1] given in parts (..., H, W).

    The smallest number from 2 to 128 of which all values of the picture are whole parts, but for what 8 bits round away. With more trials, and
    where a few values are none of these, it goes by the variance:

        1 / trials = v / (1 + v / 4),   v = (median |d| / sqrt(m (1 - m)) / 0.6745)^2,   d and m as for `poisson_gain`

    Where a block has one brightness, the mean of m (1 - m) is x (1 - x) (1 - 1 / (4 trials)).

    >>> chance = torch.Generator().manual_seed(0)
    >>> x = torch.linspace(0.1, 0.9, 256).expand(3, 256, 256)
    >>> binomial_trials([torch.binomial(torch.full_like(x, 40), x, generator=chance) / 40])
    40.0
    """
    parts = list(parts)
    values = torch.cat([x.flatten()[:: max(1, x.numel() // 4096)] for x in parts])
    for trials in range(2, 129):
        z = values * trials
        if ((z - z.round()).abs() <= 0.51 / 255 * trials).float().mean() > 0.999:
            return float(trials)

    def scaled(x: Tensor) -> Tensor:
        m = _block_means(x)
        return x / (m * (1 - m)).clamp_min(1e-6).sqrt()

    v = gaussian_sigma(map(scaled, parts)) ** 2
    return max(float(round(1 / v + 0.25)), 2.0) if v > 0 else float("inf")


@torch.no_grad()
def gamma_looks(parts: Iterable[Tensor]) -> float:
    """The number of looks of Gamma noise, of the variance x^2 / looks, in a picture given in parts (..., H, W).

        1 / looks = v / (1 - v / 4),   v = (median |d| / m / 0.6745)^2,   d and m as for `poisson_gain`

    Where a block has one brightness, the mean of d^2 / m^2 is 4 / (4 looks + 1) whatever it is.

    >>> chance = torch.Generator().manual_seed(0)
    >>> speckle = torch._standard_gamma(torch.full((3, 256, 256), 8.0), generator=chance) / 8
    >>> round(gamma_looks([speckle * torch.linspace(0.1, 0.9, 256)]))
    8
    """
    v = gaussian_sigma(x / _block_means(x) for x in parts) ** 2
    return max(1 / v - 0.25, 0.05) if v > 0 else float("inf")


@torch.no_grad()
def estimate(x: Tensor) -> Noise:
    """Estimates the noise of one picture x (C, H, W) in [0, 1]; of a large one, from blocks all over it."""
    light = luma(x)[0]
    sigma, brightness, blocks = gaussian_sigma([x]), float(light.mean()), _blocks(light)
    mean = blocks.mean((1, 2))
    unclipped = (mean > 0.05) & (mean < 0.8)  # where values are clipped, so is the noise
    if int(unclipped.sum()) < 16:
        return Noise(sigma, 0.0, 0.0, brightness)
    blocks, mean = blocks[unclipped], mean[unclipped]
    flat = _plane_free(blocks)
    power = flat.square().mean((1, 2))
    calm = _calm(power, mean)
    return Noise(sigma, _from_light(power[calm], mean[calm]), _correlation(flat[calm]), brightness)


def _diagonal(x: Tensor) -> Tensor:
    height, width = (n // 2 * 2 for n in x.shape[-2:])
    a, b = x[..., 0:height:2, 0:width:2], x[..., 0:height:2, 1:width:2]
    c, d = x[..., 1:height:2, 0:width:2], x[..., 1:height:2, 1:width:2]
    difference: Tensor = (a - b - c + d) / 2
    return difference


def _block_means(x: Tensor) -> Tensor:
    """The mean of each 2 x 2 block at each of its pixels, those of blocks that are cut off by the border infinite."""
    height, width = (n // 2 * 2 for n in x.shape[-2:])
    means = torch.full_like(x, float("inf"))
    blocks = torch.stack([x[..., i:height:2, j:width:2] for i in (0, 1) for j in (0, 1)]).mean(0)
    means[..., :height, :width] = blocks.clamp_min(1e-6).repeat_interleave(2, -1).repeat_interleave(2, -2)
    return means


def _blocks(light: Tensor) -> Tensor:
    """Blocks (N, 8, 8), all or, of a large picture, about 40,000."""
    height, width = (n // _BLOCK * _BLOCK for n in light.shape)
    if not height or not width:
        return light.new_zeros(0, _BLOCK, _BLOCK)
    cut = light[:height, :width].reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    blocks = cut.transpose(1, 2).flatten(0, 1)
    return blocks[:: max(1, len(blocks) // 40_000)]


def _plane_free(blocks: Tensor) -> Tensor:
    """Blocks (N, 8, 8) without the plane that fits each best."""
    ramp = torch.linspace(-1, 1, _BLOCK).to(blocks)
    basis = torch.stack(
        [torch.ones(_BLOCK, _BLOCK).to(blocks), ramp[:, None].expand(_BLOCK, _BLOCK), ramp.expand(_BLOCK, _BLOCK)]
    )
    basis = F.normalize(basis.flatten(1), dim=1)
    flat = blocks.flatten(1)
    return (flat - (flat @ basis.T) @ basis).reshape(-1, _BLOCK, _BLOCK)


def _calm(power: Tensor, mean: Tensor) -> Tensor:
    """The calmest tenth of the blocks of each brightness, in which there is little but noise."""
    order = mean.argsort()
    chosen = [part[power[part].argsort()[: max(1, len(part) // 10)]] for part in order.tensor_split(min(16, len(order)))]
    return torch.cat(chosen)


def _from_light(power: Tensor, mean: Tensor) -> float:
    """The share of the variance that grows with brightness, the slope by Theil and Sen: the median over all pairs, which outliers do not move."""
    step = max(1, len(mean) // 400)
    power, mean = power[::step], mean[::step]
    apart = mean[:, None] - mean[None]
    pairs = apart > 0.05
    if not bool(pairs.any()):
        return 0.0
    gain = float(((power[:, None] - power[None])[pairs] / apart[pairs]).median())
    return min(1.0, max(0.0, gain * float(mean.mean()) / max(float(power.mean()), 1e-12)))


def _correlation(flat: Tensor) -> float:
    """The correlation of neighbours, across and down, made good for the plane that was taken away."""
    power = flat.square().mean()
    if power <= 1e-12:
        return 0.0
    product = ((flat[:, 1:] * flat[:, :-1]).mean() + (flat[:, :, 1:] * flat[:, :, :-1]).mean()) / 2
    return float(product / power) + 3 / _BLOCK**2
