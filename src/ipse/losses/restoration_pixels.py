"""Losses of nets that learn to restore a picture from its own pixels."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.losses.precision import full_precision
from ipse.transforms.reflect import reflected
from ipse.transforms.subsample import diagonals


class Terms(NamedTuple):
    """The parts of the loss of a conditional blind-spot net, scalars."""

    blind: Tensor
    open: Tensor
    invariance: Tensor


@full_precision
def downsampled_invariance(x: Tensor, blind: Tensor, seen: Tensor, seen_small: Tensor, small: Tensor) -> Terms:
    """What is seen with the centre pixel must agree with what is guessed without it, where noise is no longer correlated.

        L_blind = mean |F(blocks of x, blind) - x|     L_self = mean |F(x) - x|     L_inv = mean |S F(x) - sg(F(S x, blind))|
        L = L_blind + w (L_self + 2 L_inv), w from 0 to 1 in the first 200,000 of 500,000 steps

    `x`: the noisy patch; `blind`: the net's blind output on its sub-pictures, put together again; `seen`: its open output, (B, C, H, W)
    each; `seen_small`: random pixels of `seen`, S F(x); `small`: the blind output on the same pixels of x, detached here. Valid for
    noise of mean 0 whose correlation is gone within the strides of the sub-pictures: 5 for L_blind, 2 for L_inv.

    Jang et al., ICCV 2023, arXiv:2304.09507

    >>> one, two = torch.ones(1, 1, 2, 2), torch.full((1, 1, 2, 2), 2.0)
    >>> [term.item() for term in downsampled_invariance(one, two, one, one[..., :1, :1], 4 * one[..., :1, :1])]
    [1.0, 0.0, 3.0]
    """
    return Terms((blind - x).abs().mean(), (seen - x).abs().mean(), (seen_small - small.detach()).abs().mean())


@full_precision
def half_resolution_agreement(y: Tensor, full: Tensor, first: Tensor, second: Tensor, edges: float = 350.0) -> Tensor:
    """Two half-size restorations must agree with each other and with the restored whole, which must keep the edges of what was seen.

        L = 1/3 |s1 - s2| + 1/3 (|s1 - e1| + |s2 - e2|) + 1/3 |e1 - e2| + edges ||G * y| - |G * full||,   (e1, e2) = D(full)

    All are means. `y`: the noisy picture, `full`: the restored one, (B, C, H, W); `first`, `second`: s1 and s2, the restored halves D(y) after
    their pixels were shuffled; D: the means of the two diagonals of 2x2 blocks; G: a difference of 7x7 Gaussians, with sigma 9 and 10
    pixels, at the border over reflected pixels (the authors' zeros would see a border in a constant). Nothing is detached. Valid for
    noise of mean 0, correlated to the next pixel at most.

    Sun et al., 2025, arXiv:2504.13519

    >>> flat = torch.full((1, 1, 8, 8), 0.5)
    >>> round(half_resolution_agreement(flat, flat, flat[..., ::2, ::2], flat[..., ::2, ::2] + 0.3).item(), 4)
    0.2
    """
    e1, e2 = diagonals(full)
    agreement = sum(F.l1_loss(a, b) for a, b in ((first, second), (first, e1), (second, e2), (e1, e2)))
    return agreement / 3 + edges * F.l1_loss(_edges(y).abs(), _edges(full).abs())


@full_precision
def symmetric_halves(first: Tensor, second: Tensor, restored: tuple[Tensor, Tensor], halves: tuple[Tensor, Tensor]) -> Tensor:
    """Each half-size picture restored must be the other one, and what becomes of it must not depend on when it was made small.

        L = 1/2 (||r1 - d2||^2 + ||r2 - d1||^2) + 1/2 (||r1 - h1||^2 + ||r2 - h2||^2)

    Means of squares. `first`, `second`: d1, d2 = D(y), the means of the diagonals of 2x2 blocks; `restored`: r1, r2, what the net makes
    of them; `halves`: h1, h2, the restored whole made small. Valid for noise of mean 0, independent between pixels.

    Mansour & Heckel, CVPR 2023, arXiv:2303.11253

    >>> one = torch.ones(1, 1, 2, 2)
    >>> symmetric_halves(one, one, (2 * one, one), (one, one)).item()
    1.0
    """
    r1, r2 = restored
    crossed = F.mse_loss(r1, second) + F.mse_loss(r2, first)
    return (crossed + F.mse_loss(r1, halves[0]) + F.mse_loss(r2, halves[1])) / 2


def _edges(x: Tensor) -> Tensor:
    place = torch.arange(-3, 4, dtype=x.dtype, device=x.device)
    distance = place[:, None] ** 2 + place**2
    narrow, wide = (torch.exp(-distance / (2 * sigma**2)) for sigma in (9, 10))
    kernel = (narrow / narrow.sum() - wide / wide.sum()).expand(x.shape[1], 1, -1, -1)
    return F.conv2d(reflected(x, 3, 3, 3, 3), kernel, groups=x.shape[1])
