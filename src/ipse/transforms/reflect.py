"""Signals continued beyond their edges."""

from __future__ import annotations

import torch
from torch import Tensor


def reflected(x: Tensor, top: int, bottom: int, left: int, right: int) -> Tensor:
    """x (..., H, W) continued by so many pixels on each side by reflection at its edge pixels, as often as it takes.

    >>> reflected(torch.tensor([[1, 2, 3]]), 0, 0, 1, 4)
    tensor([[2, 1, 2, 3, 2, 1, 2, 3]])
    """
    for dim, before, after in ((-2, top, bottom), (-1, left, right)):
        if before or after:
            n = x.shape[dim]
            x = x.index_select(dim, reflected_place(torch.arange(-before, n + after, device=x.device), n))
    return x


def reflected_place(place: Tensor, n: int) -> Tensor:
    """Which of n pixels is seen at any whole place, as the signal goes to and fro."""
    place = place % max(2 * n - 2, 1)
    return torch.where(place < n, place, 2 * n - 2 - place)


def to_multiple(x: Tensor, multiple: int) -> Tensor:
    """x (..., H, W) continued below and to the right until both sides are multiples."""
    height, width = x.shape[-2:]
    return reflected(x, 0, -height % multiple, 0, -width % multiple)
