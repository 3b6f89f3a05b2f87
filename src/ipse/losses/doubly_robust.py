"""Losses of self-training that stay right whether the pseudo-labels are right or wrong."""

from __future__ import annotations

import torch
from torch import Tensor

from ipse.losses.means import mean_where
from ipse.losses.precision import full_precision


@full_precision
def doubly_robust(
    pseudo: Tensor, true: Tensor, labelled: Tensor, correction: float = 1.0, density_ratio: Tensor | None = None
) -> Tensor:
    """Corrects the loss of pseudo-labels by how wrong it is where labels are known.

        L = mean over all b of pseudo_b  +  correction * mean over labelled b of (true_b - pseudo_b)

    With correction 1 its mean is that of the loss of true labels, however wrong the pseudo-labels are, as long as they do not depend
    on these labels; its variance falls with the pseudo-labels' errors. It may be negative. Without a labelled sample the first
    term is left.

    `pseudo`, `true`: the loss of each sample with its pseudo-label and its label, (B,); `true` does not count where `labelled`, bool
    (B,), is False. density_ratio: (B,), how much more frequent each labelled sample is among the unlabelled, where labels
    were not drawn evenly: the first mean is then over the unlabelled alone, and the second is weighted by it.

    Zhu, Ding, Jacobson, Wu, Zhan, Jordan, Jiao, NeurIPS 2023, arXiv:2306.00265

    >>> pseudo, true = torch.tensor([1.0, 2.0, 3.0, 6.0]), torch.tensor([1.5, 0.0, 0.0, 0.0])
    >>> doubly_robust(pseudo, true, torch.tensor([True, False, False, False])).item()
    3.5
    """
    difference = torch.where(labelled, true - pseudo, 0.0)
    if density_ratio is None:
        return mean_where(pseudo) + correction * mean_where(difference, labelled)
    return mean_where(pseudo, ~labelled) + correction * mean_where(density_ratio * difference, labelled)


def doubly_robust_mean(guess: Tensor, guess_of_labelled: Tensor, y: Tensor) -> Tensor:
    """The mean of a target from few labels and a guess of all: what minimises the doubly robust squared error.

        mean(guess of all) - mean(guess of the labelled - y)

    `guess`: (N,), of all samples; `guess_of_labelled`, `y`: (n,), of those with labels.

    Zhu et al., NeurIPS 2023, arXiv:2306.00265

    >>> doubly_robust_mean(torch.tensor([1.0, 2.0, 6.0]), torch.tensor([1.0]), torch.tensor([3.0])).item()
    5.0
    """
    return guess.mean() - (guess_of_labelled - y).mean()
