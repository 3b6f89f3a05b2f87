"""Losses of predictions without labels: of a model alone, or of a student and what its teacher says.

`logits` (B, K) are unnormalised scores of K classes, p = softmax(logits) their probabilities. Nothing here is detached: who calls
decides what the gradient may reach.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.losses.precision import full_precision


@full_precision
def entropy(logits: Tensor) -> Tensor:
    """How unsure predictions are.

        L = mean over the batch of  -sum over k of p_k log p_k

    Wang et al., ICLR 2021, arXiv:2006.10726

    >>> import math
    >>> round(entropy(torch.zeros(2, 4)).item(), 4), round(math.log(4), 4)
    (1.3863, 1.3863)
    """
    log_p = logits.log_softmax(1)
    return -(log_p.exp() * log_p).sum(1).mean()


@full_precision
def robust_pseudo_label(logits: Tensor, label: Tensor, q: float = 0.8) -> Tensor:
    """Generalised cross-entropy, which wrong labels move less than cross-entropy.

        L = mean over the batch of  (1 - p_label^q) / q,        dL/dp_label = -p_label^(q - 1)

    It is -log p_label as q goes to 0 and 1 - p_label at q = 1. `label`: (B,) int64.

    Zhang and Sabuncu, NeurIPS 2018, arXiv:1805.07836; as a loss of pseudo-labels: Rusak et al., TMLR 2022, arXiv:2104.12928

    >>> round(robust_pseudo_label(torch.zeros(1, 4), torch.tensor([2]), q=1.0).item(), 4)
    0.75
    """
    log_p = logits.log_softmax(1).gather(1, label[:, None])[:, 0]
    return (-torch.expm1(q * log_p) / q).mean()


@full_precision
def symmetric_cross_entropy(a: Tensor, b: Tensor) -> Tensor:
    """Cross-entropy of two predictions, both ways.

        L = mean over the batch of  -1/2 sum over k of p_k(b) log p_k(a)  -  1/2 sum over k of p_k(a) log p_k(b)

    `a`, `b`: logits (B, K). Equal ones give their entropy.

    Doebler et al., CVPR 2023, arXiv:2211.13081

    >>> round(symmetric_cross_entropy(torch.zeros(1, 2), torch.zeros(1, 2)).item(), 4)
    0.6931
    """
    log_a, log_b = a.log_softmax(1), b.log_softmax(1)
    return -0.5 * (log_b.exp() * log_a + log_a.exp() * log_b).sum(1).mean()


@full_precision
def reversed_cross_entropy(logits: Tensor, target: Tensor, eps: float = 1e-8) -> Tensor:
    """Cross-entropy that the student weighs: mean over the batch of  -sum over k of p_k log(target_k + eps).

    Tomar et al., CVPR 2023, arXiv:2303.09870

    >>> round(reversed_cross_entropy(torch.zeros(1, 2), torch.tensor([[0.5, 0.5]])).item(), 4)
    0.6931
    """
    return -(logits.softmax(1) * (target + eps).log()).sum(1).mean()


@full_precision
def negative_marginal_entropy(logits: Tensor, eps: float = 1e-8) -> Tensor:
    """How far the mean prediction of a batch is from naming all classes alike: sum over k of m_k log(m_k + eps), m = mean of p.

    It lies between -log K and 0.

    Tomar et al., CVPR 2023, arXiv:2303.09870

    >>> round(negative_marginal_entropy(torch.tensor([[50.0, 0.0], [0.0, 50.0]])).item(), 4)
    -0.6931
    """
    mean = logits.softmax(1).mean(0)
    return (mean * (mean + eps).log()).sum()


@full_precision
def matched_contrast(views: Sequence[Tensor], temperature: float = 0.1) -> Tensor:
    """Supervised contrast of V vectors of every sample, where the index of the sample is the class.

        L = mean over all V B vectors a, and over the V - 1 others p of the same sample, of
            -log( exp(cos(a, p) / temperature) / sum over all vectors k != a of exp(cos(a, k) / temperature) )

    `views`: V tensors (B, D), normalised here.

    Khosla et al., NeurIPS 2020, arXiv:2004.11362; of prototype, sample and view: Doebler et al., CVPR 2023, arXiv:2211.13081

    >>> round(matched_contrast([torch.ones(1, 2)] * 3).item(), 4)
    0.6931
    """
    n = len(views[0])
    z = F.normalize(torch.cat(list(views)), dim=1)
    own = torch.eye(len(z), dtype=torch.bool, device=z.device)
    similarity = (z @ z.T / temperature).masked_fill(own, float("-inf"))
    log_share = similarity - similarity.logsumexp(1, keepdim=True)
    sample = torch.arange(n, device=z.device).repeat(len(views))
    positive = (sample[:, None] == sample) & ~own
    return -log_share[positive].mean()
