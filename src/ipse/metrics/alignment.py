"""How close the views of a sample are, and how evenly samples cover the sphere.

Wang & Isola, ICML 2020, arXiv:2005.10242
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_ROWS = 10_000
_CHUNK = 1024


@torch.no_grad()
def alignment(z1: Tensor, z2: Tensor, alpha: float = 2) -> float:
    """The mean distance of the normalized embeddings of two views of the same samples: 0 at best.

        mean_i || nrm(z1_i) - nrm(z2_i) ||^alpha

    `z1`, `z2`: (N, D), row i of both from sample i.

    >>> round(alignment(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])), 4)
    2.0
    """
    total = 0.0
    for a, b in zip(z1.split(_CHUNK), z2.split(_CHUNK), strict=True):
        distance = torch.linalg.vector_norm(F.normalize(a.float(), dim=1) - F.normalize(b.float(), dim=1), dim=1)
        total += distance.pow(alpha).sum(dtype=torch.float64).item()
    return total / len(z1)


@torch.no_grad()
def uniformity(z: Tensor, t: float = 2) -> float:
    """How far normalized embeddings are from covering the sphere evenly: 0 when all are equal, the lower the more even.

        log mean over pairs i < j of exp( -t || nrm(z_i) - nrm(z_j) ||^2 )

    `z`: (N, D). Above 10,000 rows, the pairs among 10,000 rows, drawn once and always the same. One row has no pair: NaN.

    >>> round(uniformity(torch.tensor([[1.0, 0.0], [-1.0, 0.0]])), 4)  # -2 * 2^2
    -8.0
    """
    if len(z) > _ROWS:
        z = z[torch.randperm(len(z), generator=torch.Generator().manual_seed(0))[:_ROWS].to(z.device)]
    z = F.normalize(z.float(), dim=1)
    pairs = len(z) * (len(z) - 1) // 2
    total = 0.0
    for start in range(0, len(z), _CHUNK):
        square = (2 - 2 * z[start : start + _CHUNK] @ z[start:].T).clamp_min(0)
        total += torch.exp(-t * square).triu(1).sum(dtype=torch.float64).item()
    return math.log(total / pairs) if total > 0 else math.nan
