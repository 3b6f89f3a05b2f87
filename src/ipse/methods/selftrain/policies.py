"""Which of the samples without a label self-training labels next, by how sure it is of each."""

from __future__ import annotations

import math

import torch
from torch import Tensor

GRID = 100


def above(confidence: Tensor, threshold: float = 0.8) -> Tensor:
    """Those at or above one threshold: bool (N,) of confidences (N,).

    >>> above(torch.tensor([0.7, 0.8, 0.9]))
    tensor([False,  True,  True])
    """
    return confidence >= threshold


def surest(confidence: Tensor, share: float) -> Tensor:
    """That share of all which is surest, rounded up, ties in their order: bool (N,) of confidences (N,).

    With a share that grows from round to round this is curriculum labelling.

    Cascante-Bonilla, Tan, Qi, Ordonez, AAAI 2021, arXiv:2001.06001

    >>> surest(torch.tensor([0.1, 0.9, 0.5, 0.7]), 0.5)
    tensor([False,  True, False,  True])
    """
    n = min(len(confidence), math.ceil(share * len(confidence) - 1e-9))
    chosen = torch.zeros(len(confidence), dtype=torch.bool, device=confidence.device)
    chosen[confidence.sort(descending=True, stable=True).indices[:n]] = True
    return chosen


def least_error(votes: Tensor, label: Tensor) -> Tensor:
    """Those above thresholds, one per class, at which the rate of errors among them is bounded lowest: bool (N,).

    Let m be the votes of a sample made to add up to 1, taken for the probability of each class, and of the samples labelled j with
    v_j >= t let i be another class. How many of them are of class i is at most what the confusion of random voters, sum of m_i v_j,
    pays for when the cheapest samples are bought first, and at most sum of m_i. The threshold of j is the lowest of 100 from the least
    to the greatest v_j that has the least ratio of these bounds, added over i, to the number of samples above it.

    `votes` (N, K), at least 0; `label` (N,). The policy of multi-class self-learning, written from its description: the authors'
    code was not at hand.

    Feofanov, Devijver, Amini, AAAI 2019; JMLR 2024, arXiv:2109.14422
    """
    chosen = torch.zeros(len(label), dtype=torch.bool, device=label.device)
    m = votes / votes.sum(1, keepdim=True).clamp_min(1e-12)
    for j in label.unique().tolist():
        own = label == j
        v = m[own, j]
        others = m.clone()
        others[:, j] = 0
        bought = m[:, j].sort()
        mass = others[bought.indices]
        budget = (others * m[:, j, None])[own].sum(0)
        best, threshold = math.inf, float(v.max())
        for t in torch.linspace(float(v.min()), float(v.max()), GRID, dtype=v.dtype).tolist()[::-1]:
            above_it = bought.values >= t
            price = mass[above_it] * bought.values[above_it, None]
            share = ((budget - (price.cumsum(0) - price)) / price.clamp_min(1e-12)).clamp(0, 1)
            bound = float((share * mass[above_it]).sum()) / max(int((v >= t).sum()), 1)
            if bound <= best:
                best, threshold = bound, t
        chosen |= own & (m[:, j] >= threshold)
    return chosen
