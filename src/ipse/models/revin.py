"""Reversible instance normalisation: each channel of each series by its own mean and scale, undone on what is predicted.

Kim et al., ICLR 2022
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def statistics(x: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor]:
    """The mean and the scale, sqrt(var + eps) with the biased variance, of each channel of each series: (B, C, 1) each.

    `x`: (B, C, T), NaN where nothing is known. A channel of which nothing is known has mean 0 and scale 1. Both are detached.
    """
    known = ~x.isnan()
    n = known.sum(dim=-1, keepdim=True)
    mean = x.detach().nansum(dim=-1, keepdim=True) / n.clamp_min(1)
    variance = (x.detach() - mean).square().nansum(dim=-1, keepdim=True) / n.clamp_min(1)
    return mean, torch.where(n > 0, variance + eps, 1).sqrt()


def normalise(x: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor, Tensor]:
    """y = (x - mean) / scale, with the mean and the scale that `denormalise` takes: x (B, C, T), NaN stays NaN.

    >>> y, mean, scale = normalise(torch.tensor([[[1.0, 3.0, torch.nan]]]), eps=0.0)
    >>> y, mean.item(), scale.item()
    (tensor([[[-1.,  1., nan]]]), 2.0, 1.0)
    """
    mean, scale = statistics(x, eps)
    return (x - mean) / scale, mean, scale


def denormalise(y: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    """x = y * scale + mean: y (B, C, any T), mean and scale (B, C, 1)."""
    return y * scale + mean


class RevIN(nn.Module):
    """`normalise` and `denormalise` with a learned gain and shift of each channel between them.

    forward: x (B, C, T) to y, mean, scale. Statistics of other series can be given, for example those of a query to
    normalise its keys.
    """

    def __init__(self, channels: int, eps: float = 1e-5):
        super().__init__()
        self.gain, self.shift = nn.Parameter(torch.ones(channels, 1)), nn.Parameter(torch.zeros(channels, 1))
        self.eps = eps

    def forward(self, x: Tensor, given: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor, Tensor]:
        mean, scale = given or statistics(x, self.eps)
        known = ~x.isnan()
        # where, not NaN times the gain: its gradient would be NaN.
        y = torch.where(known, (x - mean) / scale, 0) * self.gain + self.shift
        return torch.where(known, y, torch.nan), mean, scale

    def inverse(self, y: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
        """What forward did, undone: y (B, C, any T)."""
        # A gain that crosses 0 cannot be divided by.
        return denormalise((y - self.shift) / (self.gain + self.eps**2), mean, scale)
