"""A clean picture for the tests of what restores."""

from __future__ import annotations

import torch
from torch import Tensor


def clean(size: int = 64, channels: int = 1) -> Tensor:
    """Smooth light with edges in it, in [0.2, 0.8]: (1, C, size, size)."""
    place = torch.linspace(0, 1, size)
    x = 0.35 + 0.15 * place + 0.3 * ((place[:, None] > 0.45) & (place > 0.3)).float()
    return x.expand(1, channels, size, size).contiguous()


def psnr(x: Tensor, y: Tensor) -> float:
    return float(-10 * torch.log10((x - y).square().mean()))
