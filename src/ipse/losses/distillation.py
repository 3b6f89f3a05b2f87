"""Losses between the scores of a student and what a teacher, or the student itself, says.

`student`, `teacher` (B, K): scores of K classes before softmax; `y` (B,) int64: the class of each sample's label. S and T are the
probabilities of student and teacher, t is the label's class. The teacher and everything that is a target is without gradient.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ipse.distributed import all_mean
from ipse.losses.precision import full_precision


@full_precision
def softened_kl(student: Tensor, teacher: Tensor, temperature: float = 4.0, weight: Tensor | None = None) -> Tensor:
    """How far the softened probabilities of the student are from the teacher's.

        L = T^2 mean over the batch of  w_i KL( softmax(teacher_i / T) || softmax(student_i / T) )

    `temperature` T; T^2 keeps the gradient as strong at any T. `weight` w (B,): of each sample, 1 if None.

    Hinton, Vinyals, Dean, 2015, arXiv:1503.02531

    >>> round(softened_kl(torch.tensor([[0.0, 0.0]]), torch.tensor([[50.0, 0.0]]), temperature=1.0).item(), 4)  # log 2
    0.6931
    """
    soft, target = (F.log_softmax(scores / temperature, dim=1) for scores in (student, teacher.detach()))
    each = F.kl_div(soft, target, reduction="none", log_target=True).sum(1)
    return temperature**2 * (each if weight is None else weight * each).mean()


@full_precision
def normalized_distillation(
    student: Tensor, teacher: Tensor, y: Tensor, gamma: float = 1.5, temperature: float = 1.0
) -> Tensor:
    """Distillation whose two parts, the label's class and all others, are distributions of their own (NKD).

        L = mean over the batch of  -T_t log S_t  -  gamma T^2 sum over i != t of  T'_i log S'_i

    S', T': softmax over the scores of the other classes alone, divided by the `temperature` T, so that both add up to 1. The
    first part is at temperature 1.

    Yang et al., ICCV 2023, arXiv:2303.13005

    >>> teacher = torch.tensor([[99.0, 0.0, 0.0]])  # sure of class 0, and of the others nothing
    >>> round(normalized_distillation(torch.zeros(1, 3), teacher, torch.tensor([0]), gamma=0).item(), 4)  # log 3
    1.0986
    >>> round(normalized_distillation(torch.zeros(1, 3), teacher, torch.tensor([0]), gamma=1).item(), 4)  # log 3 + log 2
    1.7918
    """
    teacher = teacher.detach()
    log_share = _of(student.log_softmax(1), y)
    target = -(_of(teacher.softmax(1), y) * log_share).mean()
    wanted = (others(teacher, y) / temperature).softmax(1)
    return target + gamma * temperature**2 * others_cross_entropy(student, y, wanted, temperature)


@full_precision
def self_target(student: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy with a label that counts more where the student is surer than usual in its batch (USKD's first part).

        L = mean over the batch of  -P log S_t,    P = S_t^2 + 1 - mean over the batch of S_t^2

    Yang et al., ICCV 2023, arXiv:2303.13005

    >>> round(self_target(torch.zeros(2, 4), torch.tensor([0, 1])).item(), 4)  # all alike: log 4
    1.3863
    """
    log_share = _of(student.log_softmax(1), y)
    squared = (2 * log_share.detach()).exp()
    return -((squared + 1 - all_mean(squared.mean())) * log_share).mean()


@torch.no_grad()
@full_precision
def zipf_labels(student: Tensor, weak: Tensor, y: Tensor) -> Tensor:
    """Soft labels (B, K - 1) of the classes other than the label's: one over their rank, scaled to add up to 1 (USKD).

        R_i = W_i / (1 - W_t) + S_i / (1 - S_t),    Z_i = 1 / rank of R_i among all K classes

    `weak` (B, K): the scores of a head on features from the middle of the encoder, W its probabilities. Equal scores rank as they stand.

    Yang et al., ICCV 2023, arXiv:2303.13005 (by the probabilities that the paper ranks by; the authors' code takes logarithms of S)

    >>> scores = torch.tensor([[3.0, 2.0, 1.0, 0.0]])
    >>> [round(z * 13, 4) for z in zipf_labels(scores, scores, torch.tensor([0]))[0].tolist()]
    [6.0, 4.0, 3.0]
    """
    shares = [scores.softmax(1) for scores in (weak, student)]
    score = torch.stack([p / (1 - _of(p, y)[:, None]).clamp_min(1e-6) for p in shares]).sum(0)
    rank = score.argsort(dim=1, descending=True, stable=True).argsort(dim=1) + 1
    z = others(1 / rank.to(score.dtype), y)
    return z / z.sum(1, keepdim=True)


@full_precision
def others_cross_entropy(student: Tensor, y: Tensor, target: Tensor, temperature: float = 1.0) -> Tensor:
    """Cross-entropy among the classes other than the label's, with the probabilities `target` (B, K - 1).

    L = mean over the batch of  -sum over i != t of  target_i log S'_i,    S' = softmax over i != t of student_i / temperature

    >>> round(others_cross_entropy(torch.tensor([[9.0, 0.0, 0.0]]), torch.tensor([0]), torch.tensor([[0.9, 0.1]])).item(), 4)
    0.6931
    """
    return -(target * (others(student, y) / temperature).log_softmax(1)).sum(1).mean()


@full_precision
def binary_kl(student: Tensor, teacher: Tensor, temperature: float = 2.0) -> Tensor:
    """Matches scores class by class: 0 where they are equal, a parabola near it and a straight line far off.

        L = T^2 mean over the batch of  sum over k of  KL( Bern(1/2) || Bern(u_k) ),    u_k = sigmoid((student_k - teacher_k) / T)
          = T^2 mean over the batch of  sum over k of  -log 2 - 1/2 log( u_k (1 - u_k) )

    It is a sum over the classes: about d^2 / 8 each for a small difference d, about T |d| / 2 for a large one.

    Yang et al., 2024, arXiv:2411.08937

    >>> round(binary_kl(torch.tensor([[2.0]]), torch.tensor([[0.0]]), temperature=1.0).item(), 4)
    0.4338
    """
    d = (student - teacher.detach()) / temperature
    each = -math.log(2) - (F.logsigmoid(d) + F.logsigmoid(-d)) / 2
    return temperature**2 * each.sum(1).mean()


def others(scores: Tensor, y: Tensor) -> Tensor:
    """The scores of the classes other than the label's: (B, K) to (B, K - 1).

    >>> others(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([1])).tolist()
    [[1.0, 3.0]]
    """
    kept = torch.arange(scores.shape[1], device=scores.device) != y[:, None]
    return scores[kept].view(len(scores), scores.shape[1] - 1)


def _of(values: Tensor, y: Tensor) -> Tensor:
    """The value of the label's class: (B, K) to (B,)."""
    return values.gather(1, y[:, None])[:, 0]
