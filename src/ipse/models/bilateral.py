"""Bilateral filters whose widths are learned, and can be seen and changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ipse.transforms.reflect import reflected

_MOST = 1 << 25  # numbers in a filter's windows at once, where no gradient is wanted


class Filtered(NamedTuple):
    """A filtered picture (B, C, H, W), and the widths (B, 3, H/patch, W/patch) of every stage: sigma_x, sigma_y in pixels, sigma_r in its values."""

    x: Tensor
    sigmas: list[Tensor]


class BilateralStages(nn.Module):
    """Attention-guided bilateral filters one after the other, each with widths per patch predicted from what it filters.

    H and W must be multiples of `patch`.

    Sun et al., 2025, arXiv:2504.13519
    """

    def __init__(self, channels: int, *, stages: int = 2, patch: int = 8, dim: int = 8, most: float = 6.0):
        super().__init__()
        self.patch = patch
        self.stages = nn.ModuleList(SigmaPredictor(channels, patch=patch, dim=dim, most=most) for _ in range(stages))

    def forward(self, x: Tensor, sigmas: Sequence[Tensor] | None = None) -> Filtered:
        """sigmas: widths to use instead of predicted ones."""
        used = []
        for i, predictor in enumerate(self.stages):
            used.append(predictor(x) if sigmas is None else sigmas[i].to(x))
            x = bilateral(x, F.interpolate(used[-1], scale_factor=self.patch))
        return Filtered(x, used)

    def __call__(self, x: Tensor, sigmas: Sequence[Tensor] | None = None) -> Filtered:
        filtered: Filtered = super().__call__(x, sigmas)
        return filtered


class SigmaPredictor(nn.Module):
    """The widths (B, 3, H/patch, W/patch), from 0 to `most`, of a filter for x (B, C, H, W): every patch attends to all patches, twice."""

    def __init__(self, channels: int, *, patch: int = 8, dim: int = 8, most: float = 6.0):
        super().__init__()
        self.patch, self.most = patch, most
        self.look = nn.Linear(channels * patch * patch, 3 * dim)
        self.again = nn.Linear(dim, 3 * dim)
        self.norm = nn.LayerNorm(dim)
        self.widths = nn.Linear(dim, 3)

    def forward(self, x: Tensor) -> Tensor:
        patches = F.pixel_unshuffle(x, self.patch)
        h = self.look(patches.flatten(2).mT)
        h = self.again(_attended(h))
        widths = F.softplus(self.widths(self.norm(_attended(h)))).clamp(max=self.most) + 1e-6
        per_patch: Tensor = widths.mT.unflatten(2, patches.shape[-2:])
        return per_patch


def bilateral(x: Tensor, sigmas: Tensor) -> Tensor:
    """Averages each pixel with its neighbours, the nearer in place and in value the more.

        weight(i, j) = exp(-dx^2 / (2 sigma_x,i^2) - dy^2 / (2 sigma_y,i^2)) exp(-||x_i - x_j||^2 / (2 sigma_r,i^2)),  scaled to a sum of 1

    x: (B, C, H, W), continued by reflection. sigmas: (B, 3, H, W): sigma_x, sigma_y, sigma_r of every pixel. The window reaches as far as the
    widest sigma, rounded up.
    """
    reach = math.ceil(float(sigmas[:, :2].detach().amax()))
    wide = reflected(x, reach, reach, reach, reach)
    if torch.is_grad_enabled():
        return _weighted(x, wide, sigmas, reach)
    rows = max(1, _MOST // ((2 * reach + 1) ** 2 * x[:, :, 0].numel()))
    starts = range(0, x.shape[2], rows)
    parts = [
        _weighted(x[:, :, i : i + rows], wide[:, :, i : i + rows + 2 * reach], sigmas[:, :, i : i + rows], reach)
        for i in starts
    ]
    return torch.cat(parts, dim=2)


def _weighted(x: Tensor, wide: Tensor, sigmas: Tensor, reach: int) -> Tensor:
    height, width = x.shape[-2:]
    k = 2 * reach + 1
    near = F.unfold(wide, k).reshape(*x.shape[:2], k * k, height, width)
    place = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    dy, dx = (d.reshape(1, -1, 1, 1) for d in torch.meshgrid(place, place, indexing="ij"))
    sx, sy, sr = (2 * sigmas[:, i, None].square() for i in range(3))
    apart = (near - x[:, :, None]).square().sum(1)
    # The pixel itself has the exponent 0, the highest there is: softmax is the sum of weights that are scaled to 1.
    weight = torch.softmax(-(dx**2 / sx + dy**2 / sy + apart / sr), dim=1)
    return (near * weight[:, None]).sum(2)


def _attended(h: Tensor) -> Tensor:
    q, k, v = h.chunk(3, dim=-1)
    return F.scaled_dot_product_attention(q, k, v)
