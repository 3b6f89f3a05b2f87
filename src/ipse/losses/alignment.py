"""Losses that only bring the views of a sample together; something else in the method prevents collapse."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ipse.losses.precision import full_precision


@full_precision
def byol(p: Tensor, t: Tensor) -> Tensor:
    """Turns a prediction towards its target, which gets no gradient.

        L = mean over the batch of  2 - 2 cos(p, stop_grad(t)),    in [0, 4]

    `p`: predictions (B, D) of the online network; `t`: projections (B, D) of the target network.

    Grill et al., NeurIPS 2020, arXiv:2006.07733

    >>> import torch
    >>> p = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    >>> byol(p, torch.tensor([[5.0, 0.0], [0.0, -1.0]])).item()  # the mean of 0, the same way, and 4, the opposite
    2.0
    """
    return (2 - 2 * F.cosine_similarity(p, t.detach(), dim=1)).mean()
