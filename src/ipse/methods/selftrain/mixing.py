"""Samples with a piece of another pasted into them."""

from __future__ import annotations

import torch
from torch import Tensor

from ipse.training import Batch


def patched(x: Tensor, batch: Batch, chance: Tensor, modality: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pastes into some samples a piece of their neighbour in the stream: CutMix.

    The piece is a box of a picture, a span of a recording or a series, or some columns of a row; its size is uniform. x: (b, ...);
    chance: (b,), how likely each is to get one. Gives the samples, the place of each one's neighbour in the batch, int64 (b,), the
    share of it that is now the neighbour's, (b,), and where that is: bool (b, H, W) of pictures, (b, T) or (b, D) of others.

    Yun et al., ICCV 2019, arXiv:1905.04899
    """
    partner = _neighbours(batch.position)
    u = batch.uniform("cutmix", 4)
    size = torch.where((u[:, 0] < chance) & (partner != torch.arange(len(x), device=x.device)), u[:, 1], 0.0)
    if modality == "table":
        piece = batch.uniform("cutmix columns", x.shape[1]) < size[:, None]
    else:
        axes = 2 if modality == "image" else 1
        spans = [_span(x.shape[-axes + i], u[:, 2 + i], size ** (1 / axes)) for i in range(axes)]
        piece = spans[0] if axes == 1 else spans[0][:, :, None] & spans[1][:, None, :]
    share = piece.float().flatten(1).mean(1)
    wide = piece.view(len(x), *[1] * (x.ndim - piece.ndim), *piece.shape[1:])
    return torch.where(wide, x[partner], x), partner, share, piece


def _neighbours(position: Tensor) -> Tensor:
    """Where in the batch the other of each pair of places in the stream is; itself where it is not there."""
    wanted = position ^ 1
    ordered, order = position.sort()
    found = torch.searchsorted(ordered, wanted).clamp_max(len(position) - 1)
    return torch.where(ordered[found] == wanted, order[found], torch.arange(len(position), device=position.device))


def _span(length: int, start: Tensor, share: Tensor) -> Tensor:
    """Which of the places along an axis are in a span of this share of it: bool (b, length)."""
    place = (torch.arange(length, device=start.device) + 0.5) / length
    first = (start * (1 - share))[:, None]
    return (place >= first) & (place < first + share[:, None])
