"""Losses about discrete units: predicting them, and using all of them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.distributed import all_mean
from ipse.losses.means import mean_where
from ipse.losses.precision import full_precision


@full_precision
def codeword_cross_entropy(
    prediction: Tensor, codewords: Tensor, labels: Tensor, mask: Tensor, temperature: float = 0.1
) -> Tensor:
    """Predicts the unit of each hidden frame (HuBERT's masked prediction).

        L = mean over hidden frames t of  -log( exp(cos(o_t, e_label) / temperature) / sum_c exp(cos(o_t, e_c) / temperature) )

    `prediction`: o, (B, N, E), projected to the width of the codewords; `codewords`: e, (C, E); both are normalized here.
    `labels`: int64 (B, N), the units, -1 where there is none; `mask`: bool (B, N), True where the loss is taken. The mean is
    over the hidden frames of all processes; what stands in other frames has no effect.

    Hsu et al., TASLP 2021, arXiv:2106.07447

    >>> import math
    >>> same = torch.ones(4, 2)  # codewords that cannot be told apart
    >>> loss = codeword_cross_entropy(torch.randn(1, 3, 2), same, torch.tensor([[0, 3, -1]]), torch.ones(1, 3).bool())
    >>> round(loss.item(), 4), round(math.log(4), 4)
    (1.3863, 1.3863)
    """
    hidden = mask & (labels >= 0)
    logits = F.normalize(prediction[hidden], dim=-1) @ F.normalize(codewords, dim=-1).T / temperature
    return mean_where(F.cross_entropy(logits, labels[hidden], reduction="none"))


@full_precision
def diversity(probabilities: Tensor, valid: Tensor | None = None) -> Tensor:
    """Asks a quantiser to use all its entries: 0 where they are equally likely, 1 - 1 / V where one of each V is always taken.

        L = (G V - sum_g exp(H(p_g))) / (G V),    H: entropy, p_g: the mean over frames of the probabilities of group g's V entries

    `probabilities`: (..., G, V), summing to 1 over V; `valid`: bool (...), which frames count. The mean is over the frames of
    all processes, the value the same on each.

    Baevski et al., NeurIPS 2020, arXiv:2006.11477

    >>> diversity(torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])).item()
    0.0
    >>> round(diversity(torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]]])).item(), 4)
    0.5
    """
    rows = probabilities.flatten(0, -3) if valid is None else probabilities[valid]
    count = all_mean(torch.tensor(len(rows), dtype=rows.dtype, device=rows.device))
    p = all_mean(rows.sum(dim=0)) / count.clamp_min(1e-6)
    # The gradient of p log p at 0 is infinite.
    perplexity = torch.exp(-(p * p.clamp_min(1e-7).log()).sum(dim=-1))
    return 1 - perplexity.sum() / p.numel()
