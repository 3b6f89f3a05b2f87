"""What discrete units say about labels, by counting."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ipse.errors import UserError


def phone_purity(units: Tensor, labels: Tensor) -> float:
    """The share of frames that are right if each unit is taken for its commonest label: sum over c of max_y p(y, c).

    `units`, `labels`: int64 of the same shape; frames where either is negative are left out. One unit per frame gives 1.

    Hsu et al., TASLP 2021, arXiv:2106.07447

    >>> phone_purity(torch.tensor([0, 0, 0, 1]), torch.tensor([5, 5, 7, 7]))
    0.75
    """
    counts = _counts(units, labels)
    return counts.amax(dim=1).sum().item() / counts.sum().item()


def cluster_purity(units: Tensor, labels: Tensor) -> float:
    """The share of frames that are right if each label is taken for its commonest unit: sum over y of max_c p(y, c).

    Shapes as in `phone_purity`. It falls when a label is spread over many units, which phone purity rewards.

    >>> cluster_purity(torch.tensor([0, 1, 2, 3]), torch.tensor([5, 5, 7, 7]))
    0.5
    """
    counts = _counts(units, labels)
    return counts.amax(dim=0).sum().item() / counts.sum().item()


def mutual_information(units: Tensor, labels: Tensor) -> float:
    """How many bits units tell about labels: I(c; y) = sum of p(c, y) log2( p(c, y) / (p(c) p(y)) ).

    Shapes as in `phone_purity`. Counting few frames overrates it, by about (C - 1) (Y - 1) / (2 N ln 2) bits.

    >>> mutual_information(torch.tensor([0, 0, 1, 1]), torch.tensor([3, 3, 8, 8]))
    1.0
    """
    counts = _counts(units, labels)
    return max(_entropy(counts.sum(dim=1)) + _entropy(counts.sum(dim=0)) - _entropy(counts), 0.0)


def pnmi(units: Tensor, labels: Tensor) -> float:
    """The share of the labels' entropy that units remove, between 0 and 1: I(c; y) / H(y). NaN where there is one label only.

    Shapes as in `phone_purity`.

    Hsu et al., TASLP 2021, arXiv:2106.07447

    >>> pnmi(torch.tensor([0, 0, 1, 1]), torch.tensor([3, 3, 8, 8]))
    1.0
    """
    entropy = _entropy(_counts(units, labels).sum(dim=0))
    return mutual_information(units, labels) / entropy if entropy > 0 else math.nan


def perplexity(units: Tensor) -> float:
    """The number of units in use, as equally likely ones would show the same entropy: 2^H(c), 1 where all are the same.

    `units`: int64, of any shape; negative ones are left out.

    >>> perplexity(torch.tensor([4, 4, 9, 9, -1]))
    2.0
    """
    return math.pow(2, _entropy(_counts(units, units).sum(dim=1)))


def _counts(units: Tensor, labels: Tensor) -> Tensor:
    """How many frames have unit c and label y: int64 (C, Y)."""
    units, labels = units.flatten().cpu(), labels.flatten().cpu()
    known = (units >= 0) & (labels >= 0)
    if not known.any():
        raise UserError(f"counting units needs frames with a unit and a label, and none of the {len(units)} has both")
    rows, c = units[known].unique(return_inverse=True)
    columns, y = labels[known].unique(return_inverse=True)
    return torch.bincount(c * len(columns) + y, minlength=len(rows) * len(columns)).view(len(rows), len(columns))


def _entropy(counts: Tensor) -> float:
    """Of what was counted, in bits."""
    p = counts.double() / counts.sum()
    return float(torch.special.entr(p).sum()) / math.log(2)
