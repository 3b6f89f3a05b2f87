from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ipse.losses import hierarchical_contrast


def views(batch: int = 3, steps: int = 5, dim: int = 2) -> tuple[Tensor, Tensor]:
    r = torch.randn(2, batch, steps, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return r[0], r[1]


def cross_entropy(anchor: np.ndarray, positive: np.ndarray, others: list[np.ndarray]) -> float:
    return math.log(math.exp(anchor @ positive) + sum(math.exp(anchor @ other) for other in others)) - anchor @ positive


def slow(r1: Tensor, r2: Tensor, valid: np.ndarray, temporal: float) -> float:
    """One anchor at a time."""
    r = np.stack([r1.numpy(), r2.numpy()])
    scales = []
    while True:
        _, batch, steps, _ = r.shape
        terms: dict[str, list[float]] = {"instance": [], "temporal": []}
        for v in range(2):
            for i, t in ((i, t) for i in range(batch) for t in range(steps) if valid[i, t]):
                others = [r[w, j, t] for w in range(2) for j in range(batch) if j != i and valid[j, t]]
                terms["instance"].append(cross_entropy(r[v, i, t], r[1 - v, i, t], others))
                others = [r[w, i, u] for w in range(2) for u in range(steps) if u != t and valid[i, u]]
                terms["temporal"].append(cross_entropy(r[v, i, t], r[1 - v, i, t], others))
        scales.append((1 - temporal) * np.mean(terms["instance"]) + temporal * np.mean(terms["temporal"]))
        if steps == 1:
            return float(np.mean(scales))
        half = steps // 2
        pooled, both = np.zeros((2, batch, half, r.shape[3])), np.zeros((batch, half), dtype=bool)
        for i, t in ((i, t) for i in range(batch) for t in range(half)):
            known = [u for u in (2 * t, 2 * t + 1) if valid[i, u]]
            both[i, t] = bool(known)
            if known:
                pooled[:, i, t] = r[:, i, known].max(axis=1)
        r, valid = pooled, both


@pytest.mark.parametrize("steps", [1, 2, 5, 8])
@pytest.mark.parametrize("temporal", [0.0, 0.5, 1.0])
def test_equals_the_slow_version(steps: int, temporal: float) -> None:
    r1, r2 = views(steps=steps)
    expected = slow(r1, r2, np.ones((3, steps), dtype=bool), temporal)
    assert hierarchical_contrast(r1, r2, temporal=temporal).item() == pytest.approx(expected, rel=1e-12)


def test_steps_that_are_not_valid_take_no_part() -> None:
    r1, r2 = views(steps=6)
    valid = torch.tensor([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1], [0, 1, 1, 0, 1, 0]]).bool()
    expected = slow(r1, r2, valid.numpy(), 0.3)
    r1[~valid], r2[~valid] = 1e3, -1e3
    r1.requires_grad_()
    loss = hierarchical_contrast(r1, r2, valid, 0.3)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    loss.backward()
    assert r1.grad is not None
    assert not r1.grad[~valid].any()
    assert r1.grad[valid].all()


def test_a_series_without_valid_steps_changes_nothing() -> None:
    r1, r2 = views()
    valid = torch.ones(3, 5, dtype=torch.bool)
    valid[2] = False
    torch.testing.assert_close(hierarchical_contrast(r1, r2, valid), hierarchical_contrast(r1[:2], r2[:2]))
    nothing = torch.zeros_like(valid)
    assert hierarchical_contrast(r1, r2, nothing).item() == 0


def test_one_step_leaves_the_instance_term_and_one_series_the_temporal_term() -> None:
    r1, r2 = views(steps=1)
    torch.testing.assert_close(hierarchical_contrast(r1, r2, temporal=0.5), 0.5 * hierarchical_contrast(r1, r2, temporal=0.0))
    assert hierarchical_contrast(r1, r2, temporal=1.0).item() == 0
    r1, r2 = views(batch=1)
    torch.testing.assert_close(hierarchical_contrast(r1, r2, temporal=0.5), 0.5 * hierarchical_contrast(r1, r2, temporal=1.0))
    assert hierarchical_contrast(r1, r2, temporal=0.0).item() == 0


def test_equal_representations() -> None:
    """One of 2B - 1 and one of 2T - 1 is picked at random: at the scales of 4, 2 and 1 steps."""
    r = torch.ones(3, 4, 2)
    expected = (3 * math.log(5) + math.log(7) + math.log(3) + math.log(1)) / 2 / 3
    assert hierarchical_contrast(r, r).item() == pytest.approx(expected, rel=1e-6)


def test_views_and_series_can_change_places() -> None:
    r1, r2 = views()
    torch.testing.assert_close(hierarchical_contrast(r1, r2), hierarchical_contrast(r2, r1))
    torch.testing.assert_close(hierarchical_contrast(r1, r2), hierarchical_contrast(r1[[2, 0, 1]], r2[[2, 0, 1]]))
