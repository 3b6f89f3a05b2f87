"""Where samples lie relative to each other: a map in two dimensions, and each one's nearest neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]


def embedding_map(z: Floats, seed: int = 0) -> NDArray[np.float32]:
    """Lays embeddings `z` (N, D) out in the plane so that what is similar lies close together: (N, 2).

    Rows are scaled to length 1, so that squared Euclidean distance is 2 (1 - cosine similarity), reduced to 50 dimensions by
    PCA and mapped by t-SNE of perplexity min(30, (N - 1) / 3). The same `z` and `seed` give the same map. Rows that are not
    finite come back as NaN; fewer than 4 different rows are laid out by PCA alone.

    van der Maaten and Hinton, JMLR 2008
    """
    z = np.asarray(z, dtype=np.float64)
    points = np.full((len(z), 2), np.nan, dtype=np.float32)
    finite = np.isfinite(z).all(axis=1)
    if finite.any():
        points[finite] = _layout(_unit(z[finite]), seed)
    return points


def neighbours(z: Floats, query_index: Ints, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Finds the `k` nearest other rows of `z` (N, D) to each of the rows `query_index` (Q,), by cosine similarity.

    Returns their indices (Q, k), nearest first and the lower index first among equals, and the similarities (Q, k) in [-1, 1];
    k is at most N - 1. The similarity to a row of zeros, or one that is not finite, is 0.
    """
    query = np.asarray(query_index, dtype=np.int64)
    z = _unit(np.asarray(z, dtype=np.float32))
    similarity = np.clip(z[query] @ z.T, -1, 1)
    similarity[np.arange(len(query)), query] = -np.inf
    index = np.argsort(-similarity, axis=1, kind="stable")[:, : max(0, min(k, len(z) - 1))]
    return index, np.take_along_axis(similarity, index, axis=1)


def _layout(z: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    flat = np.zeros((len(z), 2))
    if np.allclose(z, z[0]):
        return flat
    # Threads add in the order in which they happen to finish, and t-SNE magnifies the last bit: only one thread repeats itself.
    with threadpool_limits(1):
        z = PCA(min(50, *z.shape), random_state=seed).fit_transform(z)
        if len(np.unique(z.round(9), axis=0)) < 4 or z.shape[1] < 2:
            flat[:, : z.shape[1]] = z[:, :2]
            return flat
        # The second half of the usual 1000 iterations takes as long as the first and barely moves a point.
        tsne = TSNE(init="pca", perplexity=min(30.0, (len(z) - 1) / 3), max_iter=500, random_state=seed)
        return np.asarray(tsne.fit_transform(z), dtype=np.float64)


def _unit(z: Any) -> Any:
    """Scales the rows of `z` (N, D) to length 1; rows of zeros, or with a value that is not finite, become zeros."""
    z = np.where(np.isfinite(z).all(axis=1, keepdims=True), z, 0)
    return z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), np.finfo(z.dtype).tiny)
