"""A part of the samples that is set aside."""

from __future__ import annotations

import numpy as np
import torch

from ipse import randomness
from ipse.data.samples import Ints, Samples


def holdout(samples: Samples, fraction: float = 0.2, seed: int = 0) -> tuple[Ints, Ints]:
    """The places of the samples to train on and of those to test on.

    The latter are `fraction` of every class, and of what has no label; at least one where there are two. Both are sorted. What
    belongs together (windows of one recording) stays together, with the label of its first sample. Which samples are set aside
    depends on (seed, position) and the labels alone.
    """
    y, group = samples.y, samples.group_numbers
    if group.any():
        _, first = np.unique(group, return_index=True)
        aside = _aside(y[first], fraction, seed)[group]
    else:  # one group, which has to be split
        aside = _aside(y, fraction, seed)
    return np.flatnonzero(~aside), np.flatnonzero(aside)


def _aside(y: Ints, fraction: float, seed: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    chance = randomness.bits(randomness.key("holdout", seed), torch.arange(len(y)), 1)[:, 0].numpy()
    order = np.lexsort((chance, y))  # class by class, each in random order
    _, start, count = np.unique(y[order], return_index=True, return_counts=True)
    rank = np.arange(len(y)) - np.repeat(start, count)
    share = np.where(count > 1, np.clip(np.round(fraction * count), 1, count - 1), 0)
    aside = np.empty(len(y), bool)
    aside[order] = rank < np.repeat(share, count)
    return aside
