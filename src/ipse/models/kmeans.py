"""k-means on any device, in chunks, and the same every time."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.errors import UserError
from ipse.randomness import uniform

_CHUNK = 16_384


@torch.no_grad()
def kmeans(x: Tensor, clusters: int, iterations: int = 20, key: int = 0, cosine: bool = False) -> Tensor:
    """Finds centers with a small squared distance to the rows next to them (Lloyd's algorithm): float32 (clusters, D).

    It starts from rows drawn by greedy k-means++: each is the best of a few candidates, drawn with the random numbers of `key`
    and with probabilities proportional to their squared distance to the rows before. 0 iterations return these rows. An empty
    cluster goes to the row furthest from its center. It ends early when no row changes its cluster. With fewer distinct rows
    than clusters some centers are equal.

    `x`: (N, D), finite; `cosine`: rows and centers are brought to unit length, which clusters by angle.

    Raises UserError if `x` is empty.

    Arthur & Vassilvitskii, SODA 2007

    >>> kmeans(torch.tensor([[0.0], [1.0], [9.0], [11.0]]), 2).sort(dim=0).values.flatten()
    tensor([ 0.5000, 10.0000])
    """
    if not len(x):
        raise UserError(f"k-means with {clusters} clusters needs rows, given none")
    x = _rows(x, cosine)
    centers = x[_start(x, clusters, key)]
    before = None
    for _ in range(iterations):
        distance, nearest = _nearest(x, centers)
        if before is not None and torch.equal(nearest, before):
            break
        before = nearest
        centers = _rows(_means(x, nearest, distance, centers), cosine)
    return centers


@torch.no_grad()
def assign(x: Tensor, centroids: Tensor, chunk: int = _CHUNK, cosine: bool = False) -> Tensor:
    """The nearest centroid of each row, the first of equals: int64 (N,).

    `x`: (N, D); `centroids`: (C, D); `chunk`: how many rows are compared at once; `cosine`: by angle.

    >>> assign(torch.tensor([[1.0, 5.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]), cosine=True)
    tensor([1])
    """
    centroids = _rows(centroids, cosine)
    return torch.cat([_nearest(_rows(part, cosine), centroids)[1] for part in x.split(chunk)])


def _rows(x: Tensor, cosine: bool) -> Tensor:
    return F.normalize(x.float(), dim=1) if cosine else x.float()


def _start(x: Tensor, clusters: int, key: int) -> Tensor:
    """The numbers of rows far from each other, by greedy k-means++: int64 (clusters,)."""
    u = uniform(key, torch.arange(clusters), 2 + int(math.log(clusters))).double()
    x = x - x.mean(dim=0)  # an origin far from all would cost digits
    square = x.square().sum(dim=1)
    chosen = torch.empty(clusters, dtype=torch.int64, device=x.device)
    left = torch.ones_like(square)
    for i in range(clusters):
        total = left.cpu().double().cumsum(dim=0)
        # Where every distinct row has been drawn no distance is left, and any row will do.
        rows = torch.searchsorted(total, u[i] * total[-1], right=True).clamp_max(len(x) - 1).to(x.device)
        distance = (square[:, None] - 2 * (x @ x[rows].T) + square[rows]).clamp_min(0)
        after = distance if i == 0 else distance.minimum(left[:, None])
        best = after.sum(dim=0).argmin()
        chosen[i], left = rows[best], after[:, best].contiguous()
    return chosen


def _nearest(x: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
    """The squared distance (N,) of each row to its nearest center, and which that is, int64 (N,)."""
    middle = centers.mean(dim=0)  # an origin far from all would cost digits
    centers = centers - middle
    half = centers.square().sum(dim=1) / 2
    parts = [((half - (part - middle) @ centers.T).min(dim=1), (part - middle).square().sum(dim=1)) for part in x.split(_CHUNK)]
    distance = torch.cat([square + 2 * best.values for best, square in parts]).clamp_min(0)
    return distance, torch.cat([best.indices for best, _ in parts])


def _means(x: Tensor, nearest: Tensor, distance: Tensor, centers: Tensor) -> Tensor:
    """The mean of each cluster's rows; of empty clusters, the rows furthest from their centers as far as there are any."""
    count = torch.bincount(nearest, minlength=len(centers))
    means = torch.zeros_like(centers).index_add_(0, nearest, x) / count.clamp_min(1)[:, None]
    empty = (count == 0).nonzero()[:, 0]
    furthest = x[distance.topk(min(len(empty), len(x))).indices]
    means[empty] = torch.cat([furthest, centers[empty[len(furthest) :]]])
    return means
