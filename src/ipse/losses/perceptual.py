"""Distances of pictures by their features, as a frozen net sees them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.losses.precision import full_precision


@full_precision
def self_feature_preserving(features: Tensor, target: Tensor) -> Tensor:
    """Keeps what is in a picture while its brightness changes: the squared distance of instance-normalised features.

        L = mean |IN(phi(x)) - IN(phi(y))|^2,   IN(f) = (f - mean over places) / std over places, of each sample and channel

    `features`, `target`: phi of both, (B, C, h, w). For linear phi without bias it does not change with y -> c y + d, c > 0.

    Jiang et al., IEEE TIP 2021, arXiv:1906.06972

    >>> f = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])
    >>> round(self_feature_preserving(f, 10 * f + 7).item(), 4)
    0.0
    """
    return F.mse_loss(_normalised(features), _normalised(target))


@full_precision
def cosine_distance(features: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
    """How far the features of each place point apart, summed over layers.

        L = sum over layers of  1 - mean over places of cos(phi(x), phi(y))

    `features`, `target`: of each layer (B, C, h, w).

    Chu et al., ACM TOG 2020, arXiv:1811.09393

    >>> f = torch.tensor([[[[1.0]], [[0.0]]]])
    >>> cosine_distance([f, f], [f, f.flip(1)])
    tensor(1.)
    """
    return torch.stack([1 - F.cosine_similarity(f, g, dim=1).mean() for f, g in zip(features, target, strict=True)]).sum()


def _normalised(x: Tensor) -> Tensor:
    centred = x - x.mean((-2, -1), keepdim=True)
    return centred * (centred.square().mean((-2, -1), keepdim=True) + 1e-5).rsqrt()
