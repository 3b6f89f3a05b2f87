"""Losses that make the features of an embedding say different things."""

from __future__ import annotations

import torch
from torch import Tensor

from ipse.distributed import all_mean
from ipse.losses.precision import full_precision


@full_precision
def barlow_twins(z1: Tensor, z2: Tensor, redundancy: float = 5e-3, eps: float = 1e-5) -> Tensor:
    """Makes the cross-correlation of two views' embeddings the identity.

        L = sum_i (1 - C_ii)^2 + redundancy * sum_{i != j} C_ij^2,    C = mean over b of norm(z1)_b norm(z2)_b^T,  (D, D)

    norm standardizes each feature of each view over the batch, (z - mean) / sqrt(var + eps) with the biased variance. Means,
    variances and C are those of the global batch.

    `z1`, `z2`: embeddings (B, D) of the two views. The off-diagonal has D (D - 1) terms: a small D wants a larger
    `redundancy`, about 1 / D.

    Zbontar et al., ICML 2021, arXiv:2103.03230

    Equal features agree perfectly, C_ii = 1, but are redundant, C_ij = 1:

    >>> z = torch.tensor([[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]])
    >>> round(barlow_twins(z, z, redundancy=0.5, eps=0.0).item(), 4)  # 0.5 * 3 * 2
    3.0
    """
    c = all_mean(_standardize(z1, eps).T @ _standardize(z2, eps) / len(z1))
    error = (c - torch.eye(len(c), dtype=c.dtype, device=c.device)).square()
    return redundancy * error.sum() + (1 - redundancy) * error.trace()


def _standardize(z: Tensor, eps: float) -> Tensor:
    z = z - all_mean(z.mean(dim=0))
    return z * torch.rsqrt(all_mean(z.square().mean(dim=0)) + eps)
