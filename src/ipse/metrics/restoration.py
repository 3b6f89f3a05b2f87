"""How good a restored picture is: with the true one at hand, and what can be said about its light without."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.errors import UserError
from ipse.transforms.colour import luma

_ROWS = 512


@torch.no_grad()
def psnr(x: Tensor, reference: Tensor, peak: float = 1.0) -> float:
    """The peak signal-to-noise ratio in dB; inf where the two are equal.

        10 log10( peak^2 / mean (x - reference)^2 )

    `x`, `reference`: of one shape (C, H, W).

    >>> round(psnr(torch.zeros(1, 2, 2), torch.full((1, 2, 2), 0.1)), 4)
    20.0
    """
    _same(x, reference)
    error = sum(float((a.double() - b.double()).square().sum()) for a, b in _strips(x, reference, 0)) / x.numel()
    return 10 * math.log10(peak**2 / error) if error > 0 else math.inf


@torch.no_grad()
def ssim(x: Tensor, reference: Tensor, peak: float = 1.0) -> float:
    """The structural similarity, at most 1: means, variances and covariance in Gaussian windows of 11 x 11 pixels, sigma 1.5.

        mean of  (2 m n + (0.01 peak)^2) (2 cov + (0.03 peak)^2) / ( (m^2 + n^2 + (0.01 peak)^2) (v + w + (0.03 peak)^2) )

    `x`, `reference`: of one shape (C, H, W). Over all windows inside the picture and all channels; NaN for a picture smaller than a window.

    Wang, Bovik, Sheikh & Simoncelli, IEEE TIP 2004

    >>> round(ssim(torch.zeros(1, 16, 16), torch.ones(1, 16, 16)), 6)  # c1 / (1 + c1), c1 = 0.0001
    0.0001
    """
    _same(x, reference)
    if min(x.shape[-2:]) < 11:
        return math.nan
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    total = count = 0.0
    for a, b in _strips(x, reference, 10):
        m, n, aa, bb, ab = (_windows(t) for t in (a, b, a * a, b * b, a * b))
        v, w, cov = aa - m * m, bb - n * n, ab - m * n
        values = (2 * m * n + c1) * (2 * cov + c2) / ((m * m + n * n + c1) * (v + w + c2))
        total, count = total + float(values.sum()), count + values.numel()
    return total / count


@torch.no_grad()
def brightness(x: Tensor) -> float:
    """The mean luma of a picture (3, H, W) or (1, H, W) in [0, 1]: 0.299 red + 0.587 green + 0.114 blue."""
    return float(luma(x).mean())


@torch.no_grad()
def contrast(x: Tensor) -> float:
    """The standard deviation of the luma of a picture (C, H, W)."""
    return float(luma(x).std(correction=0))


@torch.no_grad()
def clipped(x: Tensor) -> float:
    """The share of the pixels (C, H, W) in [0, 1] of which a channel is at its end, below half a step of 8 bits or above it."""
    step = 0.5 / 255
    return float(((x < step) | (x > 1 - step)).any(0).float().mean())


@torch.no_grad()
def colorfulness(x: Tensor) -> float:
    """How colourful a picture (3, H, W) in [0, 1] looks: 0 for grey, above 0.4 for very much so.

        sqrt(var(rg) + var(yb)) + 0.3 sqrt(mean(rg)^2 + mean(yb)^2),   rg = r - g,   yb = (r + g) / 2 - b

    Hasler & Süsstrunk, SPIE 2003, whose numbers are these times 255

    >>> colorfulness(torch.full((3, 4, 4), 0.7))
    0.0
    """
    if len(x) != 3:
        return 0.0
    rg, yb = x[0] - x[1], (x[0] + x[1]) / 2 - x[2]
    spread = math.hypot(float(rg.std(correction=0)), float(yb.std(correction=0)))
    return spread + 0.3 * math.hypot(float(rg.mean()), float(yb.mean()))


def _same(x: Tensor, reference: Tensor) -> None:
    if x.shape != reference.shape:
        raise UserError(f"the picture is {tuple(x.shape)} and its reference {tuple(reference.shape)}: they must be of one size")


def _strips(x: Tensor, y: Tensor, overlap: int) -> list[tuple[Tensor, Tensor]]:
    """Both in strips of rows, each with the first rows of the next, so that memory does not grow with the picture."""
    starts = range(0, max(1, x.shape[-2] - overlap), _ROWS)
    return [(x[..., i : i + _ROWS + overlap, :], y[..., i : i + _ROWS + overlap, :]) for i in starts]


def _windows(x: Tensor) -> Tensor:
    """Gaussian means (C, H - 10, W - 10) of x (C, H, W), in float64."""
    kernel = torch.exp(-(torch.arange(-5, 6, dtype=torch.float64, device=x.device) ** 2) / (2 * 1.5**2))
    kernel = (kernel / kernel.sum())[None, None]
    y = F.conv2d(x.double()[:, None], kernel[..., None])
    return F.conv2d(y, kernel[..., None, :])[:, 0]
