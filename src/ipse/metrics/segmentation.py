"""How far two labellings of places agree."""

from __future__ import annotations

import torch
from torch import Tensor

from ipse.errors import UserError


def mean_iou(mask: Tensor, other: Tensor, classes: int) -> Tensor:
    """The intersection over union of each class that either labelling has, averaged over these classes.

    `mask`, `other`: classes of the same places, int64 (B, ...); a place with a negative class in either does not count. Gives one number
    per sample, (B,), from 0 to 1. With one place per sample it is 1 where both say the same and 0 elsewhere. To judge a whole data set, give it
    as one sample.

    >>> mean_iou(torch.tensor([[0, 0, 1, 1]]), torch.tensor([[0, 1, 1, 1]]), 3)
    tensor([0.5833])
    """
    if mask.shape != other.shape:
        raise UserError(f"two labellings of the same places were expected, not of {tuple(mask.shape)} and {tuple(other.shape)}")
    mask, other = mask.reshape(len(mask), -1), other.reshape(len(other), -1)
    known = (mask >= 0) & (other >= 0)
    k = torch.arange(classes, device=mask.device)
    one, two = ((m[:, None] == k[:, None]) & known[:, None] for m in (mask, other))
    both, either = (one & two).sum(-1), (one | two).sum(-1)
    there = either > 0
    return (both / either.clamp_min(1)).sum(-1) / there.sum(-1).clamp_min(1)
