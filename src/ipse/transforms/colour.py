"""What operations on colours share."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)


def luma(x: Tensor) -> Tensor:
    """How light each pixel is, (..., C, H, W) to (..., 1, H, W): 0.299 red + 0.587 green + 0.114 blue, or the mean of other channels.

    >>> luma(torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1)).item() == torch.tensor(0.299).item()
    True
    """
    if x.shape[-3] != 3:
        return x.mean(-3, keepdim=True)
    return (x * torch.tensor(LUMA, device=x.device, dtype=x.dtype)[:, None, None]).sum(-3, keepdim=True)


def hue_rotation(turn: Tensor) -> Tensor:
    """Rotations (B, 3, 3) of the colours about the axis of greys, `turn` in whole turns: the circle that HSV's hexagon stands for."""
    angle = 2 * math.pi * turn[:, None, None]
    cos, eye = torch.cos(angle), torch.eye(3, device=turn.device)
    across = torch.tensor([(0.0, -1.0, 1.0), (1.0, 0.0, -1.0), (-1.0, 1.0, 0.0)], device=turn.device) / math.sqrt(3)
    return cos * eye + (1 - cos) / 3 + torch.sin(angle) * across
