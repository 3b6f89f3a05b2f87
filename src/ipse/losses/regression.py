"""Distances to what a teacher makes of each frame."""

from __future__ import annotations

import math

from torch import Tensor

from ipse.losses.means import mean_where
from ipse.losses.precision import full_precision


@full_precision
def frame_regression(prediction: Tensor, target: Tensor, chosen: Tensor | None = None) -> Tensor:
    """Moves each prediction to its target, which gets no gradient (data2vec).

        L = mean over chosen frames t of  ||prediction_t - stop_grad(target_t)||^2 / sqrt(d)

    `prediction`, `target`: (..., d); `chosen`: bool (...), which frames count, all if None. The mean is over the frames of all
    processes; what stands in other frames has no effect.

    Baevski et al., ICML 2022, arXiv:2202.03555; the scale is that of its code.

    >>> import torch
    >>> frame_regression(torch.ones(3, 4), torch.zeros(3, 4)).item()
    2.0
    """
    square = (prediction - target.detach()).square().sum(dim=-1)
    return mean_where(square, chosen) / math.sqrt(prediction.shape[-1])
