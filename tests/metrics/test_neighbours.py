from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from ipse.errors import UserError
from ipse.metrics import knn_accuracy, knn_predict, nearest
from ipse.metrics import neighbours as module


def blobs(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(4, (n,), generator=generator)
    return torch.eye(4)[y] * 2 + torch.randn(n, 4, generator=generator), y


def test_nearest_equals_scikit_learn_across_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BANK", 64)  # 5 chunks, the last of them smaller than k
    monkeypatch.setattr(module, "_QUERIES", 32)
    bank, queries = torch.randn(260, 16), torch.randn(70, 16)
    similarity, position = nearest(bank, queries, 9)
    distance, expected = NearestNeighbors(n_neighbors=9, metric="cosine").fit(bank.numpy()).kneighbors(queries.numpy())
    np.testing.assert_array_equal(position, expected)
    np.testing.assert_allclose(similarity, 1 - distance, atol=1e-5)


def test_nearest_equals_faiss() -> None:
    faiss = pytest.importorskip("faiss")
    bank, queries = torch.nn.functional.normalize(torch.randn(500, 8)), torch.nn.functional.normalize(torch.randn(40, 8))
    index = faiss.IndexFlatIP(8)
    index.add(bank.numpy())
    np.testing.assert_array_equal(nearest(bank, queries, 5)[1], index.search(queries.numpy(), 5)[1])


def test_small_banks_and_half_precision() -> None:
    similarity, position = nearest(torch.eye(2).half(), torch.eye(2), k=5)
    assert position.tolist() == [[0, 1], [1, 0]]
    assert similarity.dtype == torch.float32


def test_votes_weigh_by_similarity() -> None:
    """One close neighbor outvotes two distant ones; without the weights it would lose."""
    bank = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-0.1, 1.0]])
    query, y = torch.tensor([[1.0, 0.1]]), torch.tensor([10**12, 1, 1])  # a label is a name, not a column
    assert knn_predict(bank, y, query, k=3).item() == 10**12
    assert knn_predict(bank, y, query, k=3, temperature=100.0).item() == 1


def test_accuracy_equals_scikit_learn() -> None:
    (train_z, train_y), (test_z, test_y) = blobs(300), blobs(100, seed=1)
    probe = KNeighborsClassifier(20, metric="cosine", weights=lambda distance: np.exp(-distance / 0.07))
    expected = probe.fit(train_z.numpy(), train_y.numpy()).score(test_z.numpy(), test_y.numpy())
    assert knn_accuracy(train_z, train_y, test_z, test_y) == pytest.approx(expected)
    assert 0.5 < expected < 1


def test_samples_without_labels_are_left_out() -> None:
    (train_z, train_y), (test_z, test_y) = blobs(300), blobs(100, seed=1)
    expected = knn_accuracy(train_z[:200], train_y[:200], test_z[:50], test_y[:50])
    train_y[200:], test_y[50:] = -1, -1
    assert knn_accuracy(train_z, train_y, test_z, test_y) == expected
    with pytest.raises(UserError, match="kNN needs labels, and none of the 300 samples has one"):
        knn_accuracy(train_z, torch.full_like(train_y, -1), test_z, test_y)
