"""Losses between complex images and between measurements."""

from __future__ import annotations

import torch
from torch import Tensor


def complex_l1(x: Tensor, target: Tensor) -> Tensor:
    """The mean distance of complex numbers.

        L = mean |x - target|

    `x`, `target`: complex, of one shape.

    >>> complex_l1(torch.tensor([3j, 1 + 0j]), torch.tensor([4 + 0j, 1 + 0j]))
    tensor(2.5000)
    """
    return (x - target).abs().mean()


def normalized_l1_l2(y: Tensor, target: Tensor) -> Tensor:
    """The relative distance of measurements, by their absolute values and by their squares, which no single frequency rules.

        L = 1/2 |y - target|_1 / |target|_1 + 1/2 |y - target|_2 / |target|_2

    `y`, `target`: complex (B, ...), zero at what does not count; the mean over the batch. A scan whose target is all zeros counts 0.
    Valid where noise of mean zero is independent between the target's samples and the input's.

    Yaman et al., MRM 2020, arXiv:1912.07669

    >>> normalized_l1_l2(torch.tensor([[0j, 0j]]), torch.tensor([[3j, 4 + 0j]]))
    tensor(1.)
    """
    apart, size = (y - target).flatten(1), target.flatten(1)
    l1 = apart.abs().sum(1) / size.abs().sum(1).clamp_min(1e-12)
    # The square root of a sum of squares has no gradient at zero: a tiny number keeps it finite.
    l2 = ((apart.abs().square().sum(1) + 1e-24) / size.abs().square().sum(1).clamp_min(1e-24)).sqrt()
    there = size.abs().amax(1) > 0
    return torch.where(there, (l1 + l2) / 2, torch.zeros_like(l1)).mean()
