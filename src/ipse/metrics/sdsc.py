"""How much of the signed area under a signal a reconstruction covers."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def sdsc(target: Tensor, reconstruction: Tensor) -> float:
    """The signal Dice similarity coefficient, in [0, 1]: amplitudes overlap only where both signals have the same sign.

        mean over series of  2 sum_t [e_t r_t > 0] min(|e_t|, |r_t|) / sum_t (|e_t| + |r_t|)

    `target` e, `reconstruction` r: (..., T), best centred. Steps where the target is NaN are left out; a series of which
    nothing is known is left out too, and one where both signals are 0 throughout counts 1.

    Lee and Kang, 2025, arXiv:2507.14516

    >>> e = torch.tensor([1.0, -2.0, 3.0])
    >>> round(sdsc(e, 2 * e), 4), sdsc(e, -e)  # 2 min(1, 2) / (1 + 2)
    (0.6667, 0.0)
    """
    known = ~target.isnan()
    e, r = target.double().nan_to_num(), torch.where(known, reconstruction.double(), 0)
    overlap = 2 * torch.where(e * r > 0, torch.minimum(e.abs(), r.abs()), 0).sum(dim=-1)
    area = (e.abs() + r.abs()).sum(dim=-1)
    score = torch.where(area > 0, overlap / area, 1)
    return torch.where(known.any(dim=-1), score, torch.nan).nanmean().item()
