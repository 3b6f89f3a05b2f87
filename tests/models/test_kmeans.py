from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from torch import Tensor

from ipse.errors import UserError
from ipse.models import kmeans as module
from ipse.models.kmeans import assign, kmeans


def blobs(n: int = 600, clusters: int = 6, dim: int = 5, spread: float = 0.3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(clusters, (n,), generator=generator)
    centers = 4 * torch.randn(clusters, dim, generator=generator)
    return centers[y] + spread * torch.randn(n, dim, generator=generator), y


def inertia(x: Tensor, centers: Tensor) -> float:
    return torch.cdist(x, centers).min(1).values.square().sum().item()


@pytest.mark.parametrize("key", range(5))
def test_finds_clusters_that_are_there(key: int) -> None:
    x, y = blobs()
    assert adjusted_rand_score(y, assign(x, kmeans(x, 6, key=key))) > 0.99


def test_iterations_equal_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 64)
    x, _ = blobs(spread=3.0)
    start = kmeans(x, 9, iterations=0)
    expected = KMeans(9, init=start.numpy(), n_init=1, max_iter=7, tol=0, algorithm="lloyd").fit(x.numpy())
    centers = kmeans(x, 9, iterations=7)
    np.testing.assert_allclose(centers.numpy(), expected.cluster_centers_, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(assign(x, centers, chunk=7), expected.predict(x.numpy()))


def test_the_start_is_rows_of_the_data_far_from_each_other() -> None:
    x, y = blobs()
    start = kmeans(x, 6, iterations=0)
    row = torch.cdist(start, x).argmin(1)
    assert torch.equal(x[row], start)
    assert len(y[row].unique()) == 6


def test_iterations_lower_the_distance() -> None:
    x, _ = blobs(spread=3.0)
    found = [inertia(x, kmeans(x, 9, iterations)) for iterations in range(8)]
    assert found == sorted(found, reverse=True)
    assert found[0] > found[-1]


def test_the_key_decides() -> None:
    x, _ = blobs(spread=3.0)
    assert torch.equal(kmeans(x, 9, key=1), kmeans(x, 9, key=1))
    assert not torch.equal(kmeans(x, 9, 0, key=1), kmeans(x, 9, 0, key=2))


def test_cosine_clusters_by_angle() -> None:
    x, y = blobs(clusters=4, dim=8)
    scaled = x * torch.linspace(0.1, 50, len(x))[:, None]
    centers = kmeans(scaled, 4, cosine=True)
    torch.testing.assert_close(centers.norm(dim=1), torch.ones(4))
    assert adjusted_rand_score(y, assign(scaled, centers, cosine=True)) > 0.99
    torch.testing.assert_close(centers, kmeans(x, 4, cosine=True), atol=1e-4, rtol=0)


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize(
    "x",
    [
        torch.ones(5, 3),
        torch.zeros(5, 3),
        torch.randn(2, 3),
        torch.randn(1, 3),
        torch.eye(3).repeat(4, 1),
        1e6 + torch.ones(9, 3),
    ],
    ids=["equal", "zero", "two rows", "one row", "three distinct", "far"],
)
def test_fewer_distinct_rows_than_clusters(x: Tensor, cosine: bool) -> None:
    centers = kmeans(x, 4, cosine=cosine)
    assert centers.shape == (4, 3)
    assert centers.isfinite().all()
    rows = torch.nn.functional.normalize(x) if cosine else x
    torch.testing.assert_close(centers[assign(x, centers, cosine=cosine)], rows)


def test_an_empty_cluster_goes_to_the_furthest_row() -> None:
    x = torch.tensor([[0.0], [1.0], [2.0], [50.0]])
    distance = (x[:, 0] - 1).square()
    means = module._means(x, torch.zeros(4).long(), distance, torch.tensor([[1.0], [-9.0]]))
    assert means.flatten().tolist() == [13.25, 50.0]


def test_data_far_from_the_origin() -> None:
    x, y = blobs()
    assert adjusted_rand_score(y, assign(x + 1e4, kmeans(x + 1e4, 6))) > 0.99


def test_half_precision_and_no_gradient() -> None:
    x, _ = blobs()
    centers = kmeans(x.half().requires_grad_(), 6)
    assert centers.dtype == torch.float32
    assert not centers.requires_grad


def test_no_rows() -> None:
    with pytest.raises(UserError, match="k-means with 3 clusters needs rows"):
        kmeans(torch.zeros(0, 2), 3)
