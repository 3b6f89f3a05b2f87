"""Losses that spread embeddings over the sphere."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.distributed import gather
from ipse.errors import UserError
from ipse.losses.contrastive import _positions
from ipse.losses.precision import full_precision


@full_precision
def koleo(z: Tensor, eps: float = 1e-8) -> Tensor:
    """Pushes each embedding away from its nearest neighbour (Kozachenko-Leonenko's estimate of the entropy, negated).

        L = -mean over i of  log( min over j != i of || nrm(z_i) - nrm(z_j) || + eps )

    `z`: (B, D), normalized here. Neighbours come from all processes. Two embeddings that meet cost up to -log(eps).

    Sablayrolles et al., ICLR 2019, arXiv:1806.03198; as a term beside InfoNCE: Abbaspourazad et al., ICLR 2024,
    arXiv:2312.05409

    Equally spaced points on the circle are 2 sin(pi / N) apart:

    >>> round(koleo(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])).item(), 4)  # -log(2 sin(pi / 4))
    -0.3466
    """
    z = F.normalize(z, dim=1)
    every = gather(z)
    if len(every) < 2:
        raise UserError("koleo needs neighbours: at least 2 samples in a batch, given 1")
    with torch.no_grad():
        nearest = (z @ every.T).scatter(1, _positions(z)[:, None], -torch.inf).argmax(dim=1)
    return -torch.log(torch.linalg.vector_norm(z - every[nearest], dim=1) + eps).mean()
