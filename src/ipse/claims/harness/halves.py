"""Two photos, one half of each to learn from and the other to test on, for claims about restoration."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn


def halves(size: int, seed: int) -> tuple[list[Tensor], list[Tensor]]:
    """Grey crops (1, 1, size, size) in [0, 1] of scikit-learn's china and flower at half size, drawn for each seed: of the left sides, of the right sides."""
    import numpy as np
    import torch
    from sklearn.datasets import load_sample_images

    chance = np.random.default_rng(seed)
    sides: tuple[list[Tensor], list[Tensor]] = [], []
    for photo in load_sample_images().images:
        grey = torch.from_numpy(photo).float().mean(2)[:426] / 255
        grey = grey.unflatten(0, (-1, 2)).mean(1).unflatten(1, (-1, 2)).mean(2)
        for side, start in zip(sides, (0, 160), strict=True):
            top, left = int(chance.integers(grey.shape[0] - size + 1)), start + int(chance.integers(160 - size + 1))
            side.append(grey[None, None, top : top + size, left : left + size].clone())
    return sides


def psnr(x: Tensor, truth: Tensor) -> float:
    """Decibels, where white is 1; nothing is clipped."""
    import math

    return -10 * math.log10(float((x - truth).square().mean()))


def taught(net: nn.Module, loss: Callable[[int], Tensor], *, steps: int, lr: float, seed: int) -> None:
    """Lets a net learn from a loss as the restorers learn: Adam with a cosine."""
    from math import cos, pi

    from ipse.training import Player, descend

    descend(
        net,
        Player(net.parameters(), loss, lr=lr, schedule=lambda step: (1 + cos(pi * step / steps)) / 2),
        steps=steps,
        seed=seed,
    )


def mean(values: list[float]) -> float:
    return sum(values) / len(values)
