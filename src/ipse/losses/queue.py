"""Contrast with a queue of what a teacher made of earlier samples."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.losses.precision import full_precision


@full_precision
def queue_contrast(q: Tensor, k: Tensor, queue: Tensor, temperature: float = 0.2, margin: float = 0.0) -> Tensor:
    """Finds the key of each query among those of earlier samples (MoCo), where the own key must win by a margin.

        L = mean over i of  -log( e^p_i / (e^p_i + sum over n of exp(cos(q_i, queue_n) / temperature)) )
        p_i = (cos(q_i, stop_grad(k_i)) - margin) / temperature

    `q`, `k`: (B, D); `queue`: (N, D), without gradients. All are normalized here.

    He et al., CVPR 2020, arXiv:1911.05722; the margin: Lepage & Dehak, Odyssey 2024, arXiv:2404.14913

    >>> x = torch.ones(2, 3)  # one of 1 + 4 that cannot be told apart
    >>> round(queue_contrast(x, x, torch.ones(4, 3)).exp().item(), 4)
    5.0
    """
    q = F.normalize(q, dim=1)
    positive = ((q * F.normalize(k.detach(), dim=1)).sum(dim=1) - margin) / temperature
    negatives = (q @ F.normalize(queue.detach(), dim=1).T / temperature).logsumexp(dim=1)
    return (torch.logaddexp(positive, negatives) - positive).mean()
