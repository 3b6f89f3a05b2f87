"""Spreads embeddings by the length of their minimum spanning tree.

Mordacq et al., NeurIPS 2025, arXiv:2510.23484
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from ipse.distributed import gather
from ipse.losses.precision import full_precision


@dataclass(frozen=True)
class TREG:
    """Makes the minimum spanning tree of each view long, on a soft unit sphere.

        R = sum over views Z of  gamma L_E(Z) + sphere L_S(Z)
        L_E(Z) = -1/n  sum over edges (i, j) of the tree of ||z_i - z_j||        L_S(Z) = 1/n  sum_i (||z_i|| - 1)^2

    Each view is a cloud of its own, gathered from all processes: n is the global batch. The tree itself has no gradient, its
    edges do. The weights of the terms are chosen here, not the paper's: with `gamma` = `sphere` = 1 norms stay near 1;
    `weight` suits losses of order one.

    >>> TREG()(torch.tensor([[1.0, 0.0], [-1.0, 0.0]])).item()  # one edge of length 2, n = 2, both on the sphere
    -1.0
    """

    on: ClassVar[Literal["z", "h"]] = "z"
    weight: ClassVar[float] = 0.1
    after_warmup: ClassVar[bool] = False

    gamma: float = 1.0
    sphere: float = 1.0

    @full_precision
    def __call__(self, *embeddings: Tensor) -> Tensor:
        return torch.stack([self._of(gather(z)) for z in embeddings]).sum()

    def _of(self, z: Tensor) -> Tensor:
        sphere: Tensor = (torch.linalg.vector_norm(z, dim=1) - 1).square().mean()
        return self.sphere * sphere - self.gamma * edge_lengths(z).sum() / len(z)


def edge_lengths(z: Tensor) -> Tensor:
    """The lengths (n - 1,) of the edges of the minimum spanning tree of the points (n, D).

    An edge of length zero gets no gradient.

    >>> edge_lengths(torch.tensor([[0.0], [3.0], [1.0]]))
    tensor([1., 2.])
    """
    start, end = spanning_tree(z).to(z.device).T
    lengths: Tensor = torch.linalg.vector_norm(z[start] - z[end], dim=1)
    return lengths


def spanning_tree(z: Tensor) -> Tensor:
    """The edges, int64 (n - 1, 2), of the minimum spanning tree of the points (n, D), by Prim's algorithm in O(n^2)."""
    points = z.detach() - z.detach().mean(dim=0)  # distances lose less to rounding near the origin
    distance = torch.cdist(points, points).cpu().numpy()
    n = len(distance)
    edges = np.zeros((max(n - 1, 0), 2), dtype=np.int64)
    outside = np.ones(n, dtype=bool)
    parent = np.zeros(n, dtype=np.int64)
    nearest = np.full(n, np.inf, dtype=distance.dtype)
    new = 0
    for edge in edges:
        outside[new] = False
        nearest[new] = np.inf
        closer = outside & (distance[new] < nearest)
        nearest[closer] = distance[new][closer]
        parent[closer] = new
        new = int(nearest.argmin())
        edge[:] = parent[new], new
    return torch.from_numpy(edges)
