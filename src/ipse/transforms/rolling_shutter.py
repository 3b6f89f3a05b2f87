"""What a rolling shutter makes of motion: each row is taken a little later than the one before."""

from __future__ import annotations

import torch
from torch import Tensor

from ipse.errors import UserError


def row_times(height: int, reverse: bool = False) -> Tensor:
    """When each row is read, from 0 to 1: (height,), from the top to the bottom, or reversed.

    >>> row_times(3), row_times(3, reverse=True)
    (tensor([0.0000, 0.5000, 1.0000]), tensor([1.0000, 0.5000, 0.0000]))
    """
    times = torch.linspace(0, 1, height)
    return times.flip(0) if reverse else times


def rolling_shutter(frames: Tensor, reverse: bool = False) -> Tensor:
    """The picture (C, H, W) of a rolling shutter during frames (T, C, H, W), evenly spread over its readout; rows between two are mixed.

    Raises UserError for a single frame.
    """
    if frames.dim() != 4 or len(frames) < 2:
        raise UserError(f"a rolling shutter needs frames (T, C, H, W), at least 2 of them, not {tuple(frames.shape)}")
    place = row_times(frames.shape[2], reverse).to(frames) * (len(frames) - 1)
    before = place.floor().clamp(max=len(frames) - 2)
    rows, mix = torch.arange(frames.shape[2]), (place - before)[:, None, None]
    first = before.long().cpu()
    taken = frames[first, :, rows] * (1 - mix) + frames[first + 1, :, rows] * mix  # (H, C, W)
    return taken.movedim(0, 1)


def dual_reversed(frames: Tensor) -> Tensor:
    """Two pictures (2, C, H, W) of the same exposure, read from the top and from the bottom."""
    return torch.stack([rolling_shutter(frames), rolling_shutter(frames, reverse=True)])
