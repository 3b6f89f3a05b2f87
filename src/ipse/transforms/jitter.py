"""Mild random views of samples as a model sees them, for methods that only get those."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ipse import randomness
from ipse.transforms.colour import hue_rotation, luma
from ipse.transforms.reflect import reflected_place


def jittered_view(x: Tensor, modality: str, key: int, position: Tensor) -> Tensor:
    """A random view of each sample, of the same shape; every number is drawn from (key, position), position int64 (B,).

    Pictures (B, C, H, W) in [-1, 1]: jitter of brightness, contrast, saturation, hue and gamma, an affine map, a mild blur, a mirror
    image and noise, as far as Doebler et al. (CVPR 2023, arXiv:2211.13081) and Wang et al. (CVPR 2022, arXiv:2203.13591) go.
    Of ours, for what has no such policy: audio (B, T) louder or softer, shifted in time, with noise; series (B, C, T) scaled,
    shifted and with noise; rows of tables (B, D) with a tenth of their cells from other rows of the batch. NaN stays NaN.
    """
    draw = _Draws(key, position)
    if modality == "image":
        return _picture(x, draw)
    if modality == "table":
        swap = draw("swap", x.shape[1]) < 0.1
        other = x[torch.arange(len(x), device=x.device).roll(1)]
        return torch.where(swap, other, x)
    shift = ((2 * draw("shift") - 1) * x.shape[-1] / 16).round().long()
    places = (torch.arange(x.shape[-1], device=x.device) + shift) % x.shape[-1]
    x = x.gather(-1, places.view(len(x), *[1] * (x.dim() - 2), -1).expand_as(x))
    gain = draw.between("gain", 0.8, 1.25).view(-1, *[1] * (x.dim() - 1))
    level = 0.02 if modality == "audio" else 0.1
    noise = level * randomness.normal(randomness.key(key, "noise"), position, x[0].numel()).view_as(x)
    y = gain * x + noise * _deviation(x) if modality == "audio" else gain * x + noise
    return y.clamp(-1, 1) if modality == "audio" else y


def affine_view(x: Tensor, matrix: Tensor, padding: str = "border") -> Tensor:
    """Pictures (B, C, H, W) seen through maps (B, 2, 3) from places of the view to places of the picture, both in [-1, 1]."""
    grid = F.affine_grid(matrix, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode=padding, align_corners=False)


def weak_view(x: Tensor, modality: str, key: int, position: Tensor) -> Tensor:
    """A view by a crop shifted by at most an eighth and, of colour pictures, the mirror image; of other samples `jittered_view`."""
    if modality != "image":
        return jittered_view(x, modality, key, position)
    draw = _Draws(key, position)
    shift = ((2 * draw("shift", 2) - 1) * torch.tensor(x.shape[-2:], device=x.device) / 8).round().long()
    rows, columns = (torch.arange(n, device=x.device) + shift[:, [i]] for i, n in enumerate(x.shape[-2:]))
    rows, columns = (reflected_place(t, n) for t, n in zip((rows, columns), x.shape[-2:], strict=True))
    mirrored = (draw("flip") < 0.5) & (x.shape[1] == 3)
    columns = torch.where(mirrored, columns.flip(1), columns)
    sample = torch.arange(len(x), device=x.device)
    return x.permute(0, 2, 3, 1)[sample[:, None, None], rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _picture(x: Tensor, draw: _Draws) -> Tensor:
    y = (x + 1) / 2
    colour = y.shape[1] == 3

    def factor(name: str, low: float, high: float) -> Tensor:
        return draw.between(name, low, high)[:, :, None, None]

    grey = luma(y)
    y = (y * factor("brightness", 0.6, 1.4)).clamp(0, 1)
    mean = grey.mean((2, 3), keepdim=True)
    f = factor("contrast", 0.7, 1.3)
    y = (f * y + (1 - f) * mean).clamp(0, 1)
    if colour:
        f = factor("saturation", 0.5, 1.5)
        y = (f * y + (1 - f) * grey).clamp(0, 1)
        y = (hue_rotation(draw.between("hue", -0.06, 0.06)[:, 0]) @ y.flatten(2)).view_as(y).clamp(0, 1)
    y = y.clamp(1e-4, 1) ** factor("gamma", 0.7, 1.3)
    angle = math.radians(15) * (2 * draw("angle")[:, 0] - 1)
    scale = draw.between("scale", 0.9, 1.1)[:, 0]
    shift = (2 * draw("place", 2) - 1) / 8  # a sixteenth of the side, on [-1, 1]
    mirror = torch.where((draw("flip")[:, 0] < 0.5) & colour, -1.0, 1.0)
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    matrix = torch.stack([mirror * cos, sin, shift[:, 0], -mirror * sin, cos, shift[:, 1]], 1).view(-1, 2, 3)
    y = _blurred(affine_view(y, matrix.to(y.dtype)), draw.between("sigma", 0.001, 0.5)[:, 0])
    noise = randomness.normal(randomness.key(draw.key, "noise"), draw.position, y[0].numel()).view_as(y)
    return (2 * (y + 0.005 * noise).clamp(0, 1) - 1).to(x.dtype)


def _blurred(x: Tensor, sigma: Tensor) -> Tensor:
    """A Gaussian blur over 5 x 5 pixels, of each picture with its own sigma (B,)."""
    offset = torch.arange(-2, 3, device=x.device)
    kernel = torch.exp(-0.5 * (offset / sigma[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).to(x.dtype).repeat_interleave(x.shape[1], 0)
    flat = F.pad(x, (2, 2, 2, 2), mode="replicate").flatten(0, 1)[None]
    flat = F.conv2d(flat, kernel[:, None, :, None], groups=len(kernel))
    return F.conv2d(flat, kernel[:, None, None, :], groups=len(kernel))[0].view_as(x)


def _deviation(x: Tensor) -> Tensor:
    """How loud each wave is: its root mean square where something is known, (B, 1)."""
    return x.nan_to_num(0).square().mean(-1, keepdim=True).sqrt()


class _Draws:
    """Named uniform numbers per sample, (B, n)."""

    def __init__(self, key: int, position: Tensor):
        self.key, self.position = key, position

    def __call__(self, name: str, n: int = 1) -> Tensor:
        return randomness.uniform(randomness.key(self.key, name), self.position, n)

    def between(self, name: str, low: float, high: float) -> Tensor:
        return low + (high - low) * self(name)
