import math

import numpy as np
import torch

from ipse.metrics.importance import column_importance


def test_by_hand_on_two_rows():
    # Rows at 0 and 90 degrees: exchanged, each lies where the other was, as far as two rows are apart; the second column is unseen.
    x = torch.tensor([[0.0, 1.0], [math.pi / 2, 2.0]])
    for seed in range(20):
        first, second = column_importance(lambda rows: torch.stack([rows[:, 0].cos(), rows[:, 0].sin()], 1), x, seed=seed)
        assert second == 0
        assert first.item() in (0.0, 1.0) or math.isclose(first.item(), 1, abs_tol=1e-6)


def test_against_all_pairs_one_by_one():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 4)).astype(np.float32)
    weight = np.array([3.0, 1.0, 0.2, 0.0])

    def embed(rows):
        return torch.cat([rows * torch.tensor(weight, dtype=rows.dtype), torch.ones(len(rows), 1)], dim=1)

    got = column_importance(embed, torch.from_numpy(x), batch_size=64).numpy()
    z = embed(torch.from_numpy(x).double()).numpy()
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    apart = np.mean([1 - z[i] @ z[k] for i in range(300) for k in range(300) if i != k])
    for j in range(4):
        every = np.array([[x[k, j] for k in range(300)]] * 300)  # instead of one random order, all rows' values
        moved = 0.0
        for i in range(0, 300, 10):
            rows = np.repeat(x[i : i + 1].astype(np.float64), 300, 0)
            rows[:, j] = every[i]
            other = embed(torch.from_numpy(rows)).numpy()
            moved += np.mean(1 - (other / np.linalg.norm(other, axis=1, keepdims=True)) @ z[i]) / 30
        np.testing.assert_allclose(got[j], moved / apart, atol=0.08)
    assert got[0] > got[1] > got[2] > got[3] == 0


def test_missing_cells_are_shuffled_like_values():
    x = torch.tensor([[math.nan, 0.0], [1.0, 0.0]]).repeat(50, 1)
    first, second = column_importance(lambda rows: torch.stack([rows[:, 0].isnan(), ~rows[:, 0].isnan()], 1).float(), x)
    assert 0.7 < first < 1.3
    assert second == 0


def test_only_the_columns_that_are_asked_for_in_their_order():
    x = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
    every = column_importance(torch.sin, x)
    some = column_importance(torch.sin, x, [3, 0])
    assert torch.equal(some, every[[3, 0]])
    assert torch.equal(every, column_importance(torch.sin, x, batch_size=7))


def test_equal_embeddings_and_few_rows():
    assert column_importance(lambda rows: torch.ones(len(rows), 3), torch.randn(9, 2)).tolist() == [0, 0]
    assert column_importance(lambda rows: torch.zeros(len(rows), 3), torch.randn(9, 2)).tolist() == [0, 0]
    assert column_importance(lambda rows: rows, torch.randn(1, 2)).tolist() == [0, 0]
    assert column_importance(lambda rows: rows, torch.randn(0, 2)).tolist() == [0, 0]
