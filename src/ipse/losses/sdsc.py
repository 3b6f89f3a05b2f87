"""Reconstruction losses that look at the shape of a signal."""

from __future__ import annotations

import torch
from torch import Tensor

from ipse.losses.masked import masked_series_mse
from ipse.losses.precision import full_precision


@full_precision
def sdsc_loss(
    prediction: Tensor, target: Tensor, sharpness: float = 100.0, weight: float = 1.0, mse_weight: float = 0.0
) -> Tensor:
    """Overlaps the signed area under a reconstructed signal with that of its target.

        L = weight * mean over series of (1 - SDSC) + mse_weight * MSE
        SDSC = 2 sum_t H(e_t r_t) min(|e_t|, |r_t|) / sum_t (|e_t| + |r_t|),    H(s) = sigmoid(sharpness * s)

    with e the target and r the prediction, (..., T) both; targets that are NaN take no part, and SDSC = 1 where both signals
    are 0 throughout. The paper's hybrid is weight = mse_weight = 1: the structural term alone does not pull |r| to |e| once
    it is larger, but through the denominator. The signals are best centred, of unit scale: the smaller sharpness * e_t r_t,
    the more a disagreement in sign counts as half an overlap. `ipse.metrics.sdsc` has the step function in place of H.

    Lee and Kang, 2025, arXiv:2507.14516

    >>> e = torch.tensor([[1.0, -2.0, 3.0]])
    >>> round(sdsc_loss(e / 2, e).item(), 4)  # 1 - 2 * 0.5 / 1.5
    0.3333
    >>> round(sdsc_loss(-e, e).item(), 4)
    1.0
    """
    known = ~target.isnan()
    e, r = target.nan_to_num(), torch.where(known, prediction, 0)
    overlap = 2 * (torch.sigmoid(sharpness * e * r) * torch.minimum(e.abs(), r.abs())).sum(dim=-1)
    area = (e.abs() + r.abs()).sum(dim=-1)
    silent = area == 0
    structure = torch.where(silent, 1, overlap / area.masked_fill(silent, 1))
    loss = weight * (1 - structure).mean()
    return loss + mse_weight * masked_series_mse(prediction, target, known) if mse_weight else loss
