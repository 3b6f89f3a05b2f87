"""Losses that learn from a model's own labels.

Scores are (B, K), or (B, K, ...) where every place of a sample has a class; labels and weights are (B,), or (B, ...).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.losses.means import mean_where
from ipse.losses.precision import full_precision


@full_precision
def labelled(scores: Tensor, label: Tensor, chosen: Tensor, smoothing: float = 0.0) -> Tensor:
    """The mean cross-entropy of the chosen samples with their labels: L = mean over chosen b of -log p_b[label_b].

    `chosen`: bool (B,) or (B, ...); the labels of the others do not count. smoothing: the share of a label that goes to all classes alike.

    >>> scores = torch.tensor([[0.0, 0.0], [50.0, 0.0]])
    >>> round(labelled(scores, torch.tensor([1, -1]), torch.tensor([True, False])).item(), 4)
    0.6931
    """
    each = F.cross_entropy(scores, label.clamp_min(0), reduction="none", label_smoothing=smoothing)
    return mean_where(each, _spread(chosen, each))


@torch.no_grad()
@full_precision
def pseudo_labels(scores: Tensor) -> tuple[Tensor, Tensor]:
    """The most likely class of each sample or place and how likely it is: int64 and float (B, ...), without gradient.

    >>> label, confidence = pseudo_labels(torch.tensor([[0.0, 0.0, 100.0]]))
    >>> label.item(), confidence.item()
    (2, 1.0)
    """
    confidence, label = scores.softmax(1).max(1)
    return label, confidence


@full_precision
def confident_consistency(weak: Tensor, strong: Tensor, chosen: Tensor, threshold: float = 0.95) -> Tensor:
    """Makes a strong view say what its weak view is sure of.

        q = softmax(weak), without gradient        L = mean over chosen of  1[max q >= threshold] CE(argmax q, strong)

    The mean is over all chosen samples and their places, not over the sure ones alone. `weak`, `strong`: scores of two views of
    the same geometry. `chosen`: bool (B,) or (B, ...).

    Sohn et al., NeurIPS 2020, arXiv:2001.07685

    >>> weak, strong = torch.tensor([[9.0, 0.0], [0.1, 0.0]]), torch.zeros(2, 2)
    >>> round(confident_consistency(weak, strong, torch.tensor([True, True])).item(), 4)
    0.3466
    """
    label, confidence = pseudo_labels(weak)
    each = F.cross_entropy(strong, label, reduction="none") * (confidence >= threshold)
    return mean_where(each, _spread(chosen, each))


@full_precision
def sharpened_consistency(
    weak: Tensor, strong: Tensor, chosen: Tensor, temperature: float = 0.4, threshold: float = 0.8
) -> Tensor:
    """Makes a strong view predict the sharpened distribution of its weak view, where that is sure.

        q = softmax(weak / temperature), without gradient
        L = mean over chosen of  1[max q >= threshold] (-sum over k of q_k log softmax(strong)_k)

    `chosen`: bool (B,). The unsharpened max is what UDA compares with its threshold; here it is the sharpened one, as in Meta
    Pseudo Labels.

    Xie et al., NeurIPS 2020, arXiv:1904.12848; Pham et al., CVPR 2021, arXiv:2003.10580

    >>> weak, strong = torch.tensor([[9.0, 0.0], [0.1, 0.0]]), torch.zeros(2, 2)
    >>> round(sharpened_consistency(weak, strong, torch.tensor([True, True])).item(), 4)
    0.3466
    """
    q = (weak.detach() / temperature).softmax(1)
    each = -(q * strong.log_softmax(1)).sum(1) * (q.max(1).values >= threshold)
    return mean_where(each, _spread(chosen, each))


def _spread(chosen: Tensor, each: Tensor) -> Tensor:
    """Which places count: of the samples that do, (B,), or said of each place, (B, ...)."""
    return chosen if chosen.shape == each.shape else chosen.view(-1, *[1] * (each.ndim - 1)).expand_as(each)
