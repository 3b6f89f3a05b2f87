"""How different two sets of samples are."""

from __future__ import annotations

import torch
from torch import Tensor

_CHUNK = 1024
_ROWS = 2000


@torch.no_grad()
def mmd(x: Tensor, y: Tensor, bandwidth: float | None = None) -> float:
    """The squared maximum mean discrepancy of two samples, 0 when they are the same (V-statistic, at least 0).

        mean k(x, x') + mean k(y, y') - 2 mean k(x, y),    k(a, b) = exp( -|| a - b ||^2 / (2 bandwidth^2) )

    with all pairs, each row's with itself too. `x`: (N, D), `y`: (M, D). By default the bandwidth is the median distance of
    the two samples' rows together, of 2,000 of them at most.

    Gretton et al., JMLR 2012

    >>> round(mmd(torch.tensor([[0.0]]), torch.tensor([[3.0]])), 4)  # 2 - 2 exp(-1 / 2)
    0.7869
    """
    x, y = x.double(), y.double()
    width = bandwidth or _median(torch.cat([x, y]))
    return max(0.0, _kernel(x, x, width) + _kernel(y, y, width) - 2 * _kernel(x, y, width))


def _kernel(x: Tensor, y: Tensor, width: float) -> float:
    """The mean of the kernel over all pairs of rows."""
    total = sum(torch.exp(_squares(part, y) / (-2 * width**2)).sum().item() for part in x.split(_CHUNK))
    return total / (len(x) * len(y))


def _median(rows: Tensor) -> float:
    """The median distance of two different rows; 1 if most are equal."""
    if len(rows) > _ROWS:
        rows = rows[torch.linspace(0, len(rows) - 1, _ROWS, device=rows.device).long()]
    first, second = torch.triu_indices(len(rows), len(rows), 1, device=rows.device)
    pairs, half = _squares(rows, rows)[first, second].sqrt(), len(first) // 2
    middle = [pairs.kthvalue(k + 1).values.item() for k in {half, (len(first) - 1) // 2}]
    median = sum(middle) / len(middle)
    return median if median > 1e-7 * float(rows.abs().max()) else 1.0


def _squares(x: Tensor, y: Tensor) -> Tensor:
    """Squared distances of all pairs of rows, (N, M), by one product; exact to 1e-15 of the rows' squared size."""
    centre = y.mean(dim=0)
    x, y = x - centre, y - centre
    return (x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T).clamp_min(0)
