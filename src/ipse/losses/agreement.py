"""How far the heads of an ensemble agree."""

from __future__ import annotations

from torch import Tensor

from ipse.errors import UserError
from ipse.losses.precision import full_precision


@full_precision
def t_similarity(scores: Tensor) -> Tensor:
    """The mean inner product of the heads' predictions: 1 where all are sure of one class, 0 where they are sure of different ones.

        s(x) = 1 / (M (M - 1)) sum over heads i != j of <softmax(scores_i), softmax(scores_j)>

    `scores`: (M, B, K) of M heads; gives (B,), from 0 to 1, and 1 / K where all heads are undecided.

    Odonnat, Feofanov, Redko, AISTATS 2024, arXiv:2310.14814

    >>> import torch
    >>> t_similarity(torch.tensor([[[99.0, 0.0]], [[0.0, 99.0]], [[0.0, 99.0]]])).item()
    0.3333333432674408
    """
    return classwise_t_similarity(scores).sum(-1)


@full_precision
def classwise_t_similarity(scores: Tensor) -> Tensor:
    """The part of each class in the T-similarity: (M, B, K) to (B, K), which add up to it.

    >>> import torch
    >>> classwise_t_similarity(torch.zeros(3, 1, 2))
    tensor([[0.2500, 0.2500]])
    """
    m = len(scores)
    if m < 2:
        raise UserError(f"heads agree or disagree with each other: at least 2, given {m}")
    p = scores.softmax(-1)
    return (p.sum(0).square() - p.square().sum(0)) / (m * (m - 1))
