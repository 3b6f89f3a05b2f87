"""The intrinsic dimension of embeddings: around each of them, and of the whole."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ipse.regularizers.ldreg import estimator, neighbor_distances
from ipse.regularizers.t_regs import edge_lengths

_QUERIES = 2048
_CELLS = 2**25
_DRAWS = 4


@torch.no_grad()
def geometric_mean_lid(z: Tensor, k: int = 20, kind: str = "mle") -> float:
    """The geometric mean of the local intrinsic dimensionality, the average that fits the geometry of distance laws.

        exp( mean_i ln LID_i )

    `z`: (N, D), N >= 4; `k` neighbors, cut to N - 2; `kind` of estimator: "mle" or "mom". Above 2,048 rows, LID is taken at
    2,048 evenly spaced rows, among all.

    Huang et al., ICLR 2024, arXiv:2401.10474
    """
    z, lid = z.float(), estimator(kind)
    at = torch.linspace(0, len(z) - 1, min(len(z), _QUERIES), device=z.device).long()
    logs = [lid(neighbor_distances(z[own], z, k, own)).log() for own in at.split(max(1, _CELLS // len(z)))]
    return torch.cat(logs).mean().exp().item()


@torch.no_grad()
def intrinsic_dimension(z: Tensor, seed: int = 0) -> float:
    """The dimension of the set that embeddings fill, from how their minimum spanning tree grows with their number.

        length(n) ~ n^((d - 1) / d),    d = 1 / (1 - slope of log length against log n)

    `z`: (N, D), N >= 16. Trees of 5 sizes n from N / 8 to N, four random draws of each below N; above 2,048 rows, among 2,048
    of them. `seed` draws the rows. 0 where all rows are equal; infinite where the length grows as fast as n.

    Mordacq et al., NeurIPS 2025, arXiv:2510.23484
    """
    generator = torch.Generator().manual_seed(seed)
    total = min(len(z), _QUERIES)
    z = z[torch.randperm(len(z), generator=generator)[:total].to(z.device)].float()
    sizes = np.geomspace(total / 8, total, 5).round().astype(int)
    lengths = [np.mean([_length(z, int(n), generator) for _ in range(_DRAWS if n < total else 1)]) for n in sizes]
    if min(lengths) <= 0:
        return 0.0
    slope = float(np.polyfit(np.log(sizes), np.log(lengths), 1)[0])
    return 1 / (1 - slope) if slope < 1 else math.inf


def _length(z: Tensor, n: int, generator: torch.Generator) -> float:
    return edge_lengths(z[torch.randperm(len(z), generator=generator)[:n].to(z.device)]).sum().item()
