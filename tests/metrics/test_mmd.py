from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist, pdist

from ipse.metrics.mmd import mmd

module = sys.modules["ipse.metrics.mmd"]


def sample(n: int, dim: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


def slow(x: np.ndarray, y: np.ndarray, width: float) -> float:
    def mean(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.exp(-(cdist(a, b) ** 2) / (2 * width**2)).mean())

    return mean(x, x) + mean(y, y) - 2 * mean(x, y)


def test_equals_the_slow_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 16)
    x, y = sample(50), sample(30, seed=1) + 0.5
    rows = torch.cat([x, y]).double().numpy()
    width = float(np.median(pdist(rows)))
    assert mmd(x, y) == pytest.approx(slow(rows[:50], rows[50:], width), rel=1e-9)
    assert mmd(x, y, bandwidth=0.7) == pytest.approx(slow(rows[:50], rows[50:], 0.7), rel=1e-9)


def test_of_a_sample_with_itself_it_is_zero() -> None:
    x = sample(200)
    assert mmd(x, x) == 0
    assert mmd(x, x.clone(), bandwidth=0.1) == 0
    assert mmd(torch.zeros(5, 2), torch.zeros(3, 2)) == 0


def test_the_order_of_rows_and_of_samples_does_not_matter() -> None:
    x, y = sample(40), sample(50, seed=1) + 1
    assert mmd(x[torch.randperm(40)], y[torch.randperm(50)]) == pytest.approx(mmd(x, y))
    assert mmd(y, x) == pytest.approx(mmd(x, y))


def test_it_orders_devices_by_their_distance() -> None:
    anchor = sample(300)
    distances = [mmd(anchor, sample(300, seed=1) + shift) for shift in (0.0, 0.5, 1.0, 2.0)]
    assert distances == sorted(distances)
    assert distances[0] < 0.02


def test_two_points_by_hand() -> None:
    value = mmd(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]]), bandwidth=5.0)
    assert value == pytest.approx(2 - 2 * math.exp(-0.5))


def test_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 50)
    x, y = sample(400), sample(400, seed=1) + 1
    assert mmd(x, y) == pytest.approx(mmd(x, y, bandwidth=float(np.median(pdist(torch.cat([x, y]).numpy())))), rel=0.3)
