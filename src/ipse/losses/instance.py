"""Losses that treat every sample as its own class."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ipse.losses.precision import full_precision


@full_precision
def index_cross_entropy(logits: Tensor, index: Tensor, smoothing: float = 0.8) -> Tensor:
    """Predicts which training sample an augmented view was made from (DIET).

        L = mean over the batch of  (1 - smoothing) (-log p_index) + smoothing * mean over all N of (-log p)
        p = softmax(logits)

    `logits`: (B, N), a linear map without bias of the representation; `index`: int64 (B,), the position of each sample among
    the N.

    Ibrahim et al., 2024, arXiv:2406.10743

    >>> import math, torch
    >>> loss = index_cross_entropy(torch.zeros(2, 10), torch.tensor([3, 7]))
    >>> round(loss.item(), 4), round(math.log(10), 4)
    (2.3026, 2.3026)
    """
    return F.cross_entropy(logits, index, label_smoothing=smoothing)
