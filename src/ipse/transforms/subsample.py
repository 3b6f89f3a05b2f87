"""Smaller pictures made of a picture's pixels, and what brings them back."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ipse import randomness


def space_to_batch(x: Tensor, stride: int) -> Tensor:
    """Every stride-th pixel of (B, C, H, W), for each of the stride^2 places to begin at: (stride^2 B, C, H/stride, W/stride).

    >>> space_to_batch(torch.arange(4.0).reshape(1, 1, 2, 2), 2).flatten()
    tensor([0., 1., 2., 3.])
    """
    b, c, h, w = x.shape
    cells = x.reshape(b, c, h // stride, stride, w // stride, stride)
    return cells.permute(3, 5, 0, 1, 2, 4).reshape(stride * stride * b, c, h // stride, w // stride)


def batch_to_space(x: Tensor, stride: int) -> Tensor:
    """The exact inverse of `space_to_batch`."""
    b, c, h, w = x.shape
    cells = x.reshape(stride, stride, b // stride**2, c, h, w)
    return cells.permute(2, 3, 4, 0, 5, 1).reshape(b // stride**2, c, h * stride, w * stride)


def random_cells(shape: tuple[int, ...], stride: int, key: int) -> Tensor:
    """Which of the stride^2 pixels of each cell is picked: int64 (B, 1, H/stride, W/stride) for pictures of a shape (B, C, H, W)."""
    b, (h, w) = shape[0], (n // stride for n in shape[-2:])
    return (randomness.bits(key, torch.arange(b), h * w) % stride**2).reshape(b, 1, h, w)


def pick(x: Tensor, cells: Tensor, stride: int) -> Tensor:
    """The picked pixel of each cell, all its channels: (B, C, H, W) to (B, C, H/stride, W/stride).

    >>> pick(torch.arange(4.0).reshape(1, 1, 2, 2), torch.tensor([[[[2]]]]), 2)
    tensor([[[[2.]]]])
    """
    b, c, h, w = x.shape
    flat = x.reshape(b, c, h // stride, stride, w // stride, stride).permute(0, 1, 2, 4, 3, 5).flatten(4)
    return flat.gather(4, cells[..., None].to(x.device).expand(b, c, -1, -1, 1))[..., 0]


def diagonals(x: Tensor) -> tuple[Tensor, Tensor]:
    """The means of the two diagonals of every 2x2 block, (B, C, H/2, W/2) each: first the one that rises, then the one that falls.

    >>> [d.item() for d in diagonals(torch.tensor([[[[1.0, 2.0], [4.0, 7.0]]]]))]
    [3.0, 4.0]
    """
    a, b, c, d = (x[..., i::2, j::2] for i in (0, 1) for j in (0, 1))
    return (b + c) / 2, (a + d) / 2


def local_shuffle(x: Tensor) -> Tensor:
    """Swaps the two pixels of every 2x2 block that are nearest to each other in colour, the first pair of equally near ones.

    Neighbours' noise loses its order, edges stay. (B, C, H, W) with even sides; gradients flow, through the choice none do.

    Sun et al., 2025, arXiv:2504.13519

    >>> local_shuffle(torch.tensor([[[[1.0, 5.0], [2.0, 9.0]]]])).flatten()
    tensor([2., 5., 1., 9.])
    """
    blocks = torch.stack([x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)])
    pairs = [(p, q) for p in range(4) for q in range(p + 1, 4)]
    apart = torch.stack([(blocks[p] - blocks[q]).detach().square().sum(1) for p, q in pairs])
    orders = torch.tensor([_swapped(p, q) for p, q in pairs], device=x.device)
    order = orders[apart.argmin(0)].movedim(-1, 0)[:, :, None].expand_as(blocks)
    shuffled = blocks.gather(0, order)
    return F.pixel_shuffle(shuffled.permute(1, 2, 0, 3, 4).flatten(1, 2), 2)


def _swapped(p: int, q: int) -> list[int]:
    order = list(range(4))
    order[p], order[q] = q, p
    return order
