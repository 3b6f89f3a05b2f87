"""A part of the samples that is set aside."""

from __future__ import annotations

import numpy as np
import torch

from ipse import randomness
from ipse.data.images import Images, Ints


def holdout(images: Images, fraction: float = 0.2, seed: int = 0) -> tuple[Ints, Ints]:
    """The places of the samples to train on and of those to test on.

    The latter are `fraction` of every class, and of what has no label; at least one where there are two. Both are sorted.
    Which samples are set aside depends on (seed, position) and the labels alone.
    """
    chance = randomness.bits(randomness.key("holdout", seed), torch.arange(len(images)), 1)[:, 0].numpy()
    order = np.lexsort((chance, images.y))  # class by class, each in random order
    _, start, count = np.unique(images.y[order], return_index=True, return_counts=True)
    rank = np.arange(len(images)) - np.repeat(start, count)
    aside = np.where(count > 1, np.clip(np.round(fraction * count), 1, count - 1), 0)
    test = rank < np.repeat(aside, count)
    return np.sort(order[~test]), np.sort(order[test])
