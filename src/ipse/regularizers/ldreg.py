"""Raises the local intrinsic dimensionality of representations.

Huang et al., ICLR 2024, arXiv:2401.10474
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ipse.distributed import gather, rank
from ipse.errors import UserError, unknown
from ipse.losses.precision import full_precision

_MARGIN = 1e-6  # keeps LID in [1e-6, 1e6] where neighbors are as good as equally far, or coincide


@dataclass(frozen=True)
class LDReg:
    """Pushes the local dimensionality around every representation away from 1.

        R = -mean_i |ln LID_i|

    |ln LID| is the Fisher-Rao distance of a point's law of distances from that of a one-dimensional set. LID_i is estimated
    from the distances of row i to its `k` nearest neighbors among all views of all processes, which are detached: the
    gradient reaches row i as a query only.

    `k` is cut to n - 2, n the number of rows. `estimator`: "mom", the method of moments, or "mle", the maximum likelihood.
    The paper's weights: 0.01 for SimCLR, 0.005 for BYOL and MoCo, 5e-6 for MAE, from the end of the warm-up on.

    Raises UserError for fewer than 4 rows or an unknown estimator.
    """

    on: ClassVar[Literal["z", "h"]] = "h"
    weight: ClassVar[float] = 0.01
    after_warmup: ClassVar[bool] = True

    k: int = 64
    estimator: str = "mom"

    def __post_init__(self) -> None:
        estimator(self.estimator)

    @full_precision
    def __call__(self, *embeddings: Tensor) -> Tensor:
        queries = torch.cat(embeddings)
        reference = gather(queries.detach())
        if len(reference) < 4:
            raise UserError(f"ldreg needs at least 4 embeddings to measure distances between, given {len(reference)}")
        own = torch.arange(len(queries), device=queries.device) + rank() * len(queries)
        lid = estimator(self.estimator)(neighbor_distances(queries, reference, self.k, own))
        return -lid.log().abs().mean()


def estimator(name: str) -> Callable[[Tensor], Tensor]:
    """The estimator of the local intrinsic dimensionality called "mom" or "mle"."""
    known = {"mom": lid_mom, "mle": lid_mle}
    if name not in known:
        raise unknown("LID estimator", name, known)
    return known[name]


def neighbor_distances(queries: Tensor, reference: Tensor, k: int, own: Tensor) -> Tensor:
    """The distances (Q, k), ascending, of queries (Q, D) to their k nearest rows of the reference (n, D).

    A query's own row, `own` int64 (Q,), is left out; k is cut to 2 .. n - 2.
    """
    k = max(2, min(k, len(reference) - 2))
    center = reference.mean(dim=0)  # distances lose less to rounding near the origin
    distance = torch.cdist(queries - center, reference - center)
    return distance.scatter(1, own[:, None], math.inf).topk(k, dim=1, largest=False).values


def lid_mom(distances: Tensor) -> Tensor:
    """Local intrinsic dimensionality (Q,) by the method of moments, of ascending distances to the nearest neighbors (Q, k).

        LID = m / (a_k - m),    m = mean(a_1 .. a_{k-1})

    Where all neighbors coincide with the query there is nothing to measure, and LID = 1.

    In the unit disc the mean distance from the center is 2/3:

    >>> lid_mom(torch.tensor([[0.5, 0.5, 1.0, 1.0]])).round(decimals=4)
    tensor([2.])
    """
    radius, spread = _radius(distances)
    m = (distances[:, :-1].mean(dim=1) / radius).clamp(_MARGIN, 1 - _MARGIN)
    return torch.where(spread, m / (1 - m), 1.0)


def lid_mle(distances: Tensor) -> Tensor:
    """Local intrinsic dimensionality (Q,) by maximum likelihood, of ascending distances to the nearest neighbors (Q, k).

        LID = -k / sum_{j<k} ln(a_j / a_k + 1e-4)

    Where all neighbors coincide with the query there is nothing to measure, and LID = 1.

    On a line distances grow evenly:

    >>> lid_mle(torch.linspace(0.001, 1, 1000)[None]).round(decimals=1)
    tensor([1.])
    """
    radius, spread = _radius(distances)
    k = distances.shape[1]
    total = (distances[:, :-1] / radius[:, None] + 1e-4).log().sum(dim=1)
    return torch.where(spread, -k / total.clamp(max=-_MARGIN * k), 1.0)


def _radius(distances: Tensor) -> tuple[Tensor, Tensor]:
    """The distance a_k, made safe to divide by, and where it was above zero."""
    spread = distances[:, -1] > 0
    return torch.where(spread, distances[:, -1], 1.0), spread
