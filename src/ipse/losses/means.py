"""Means over frames of which some do not count, and of which every process holds another number."""

from __future__ import annotations

import torch
from torch import Tensor

from ipse.distributed import all_mean


def mean_where(values: Tensor, chosen: Tensor | None = None) -> Tensor:
    """This process's share of the mean of the chosen values of all processes: the shares average to it.

    `values`: any shape; `chosen`: bool of the same shape, all if None. 0 where nothing is chosen.

    >>> mean_where(torch.tensor([1.0, 3.0, 100.0]), torch.tensor([True, True, False])).item()
    2.0
    """
    kept = values if chosen is None else values[chosen]
    count = all_mean(torch.tensor(kept.numel(), dtype=values.dtype, device=values.device))
    return kept.sum() / count.clamp_min(1e-6)
