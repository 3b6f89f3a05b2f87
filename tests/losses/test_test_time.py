"""Losses of predictions without labels: values by hand, and the derivatives that the papers give."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from ipse import losses

Z = torch.tensor([[1.0, 0.0, -1.0], [0.5, 2.0, 0.0]], dtype=torch.float64)
T = torch.tensor([[0.0, 1.0, 0.0], [2.0, -1.0, 0.3]], dtype=torch.float64)


def test_entropy_is_largest_and_flat_where_all_classes_are_alike_and_none_where_one_is_certain() -> None:
    z = torch.zeros(2, 5, requires_grad=True)
    loss = losses.entropy(z)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(5))
    assert z.grad is not None
    assert z.grad.abs().max() < 1e-7
    assert losses.entropy(torch.tensor([[100.0, 0.0, 0.0]])).item() == pytest.approx(0)


def test_robust_pseudo_label_lies_between_cross_entropy_and_error() -> None:
    label, p = Z.argmax(1), Z.softmax(1).amax(1)
    assert losses.robust_pseudo_label(Z, label, 1e-9).item() == pytest.approx(float(-p.log().mean()))
    assert losses.robust_pseudo_label(Z, label, 1.0).item() == pytest.approx(float((1 - p).mean()))
    assert losses.robust_pseudo_label(Z, label).item() == pytest.approx(float(((1 - p**0.8) / 0.8).mean()))


def test_robust_pseudo_label_falls_as_the_paper_says() -> None:
    p = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
    z = torch.stack([p.log(), (1 - p).log()], 1)
    losses.robust_pseudo_label(z, torch.tensor([0])).backward()
    assert p.grad is not None
    assert p.grad.item() == pytest.approx(-(0.3**-0.2))


def test_symmetric_cross_entropy() -> None:
    assert losses.symmetric_cross_entropy(Z, Z).item() == pytest.approx(losses.entropy(Z).item())
    assert losses.symmetric_cross_entropy(Z, T).item() == pytest.approx(losses.symmetric_cross_entropy(T, Z).item())
    both = F.cross_entropy(Z, T.softmax(1)) + F.cross_entropy(T, Z.softmax(1))
    assert losses.symmetric_cross_entropy(Z, T).item() == pytest.approx(both.item() / 2)


def test_reversed_cross_entropy_with_the_marginal_is_minus_the_mutual_information() -> None:
    p = Z.softmax(1)
    loss = losses.reversed_cross_entropy(Z, p, eps=0.0) + losses.negative_marginal_entropy(Z, eps=0.0)
    marginal = p.mean(0)
    information = (p * (p / marginal).log()).sum(1).mean()
    assert loss.item() == pytest.approx(-information.item())
    certain = 60.0 * torch.eye(4)
    loss = losses.reversed_cross_entropy(certain, certain.softmax(1)) + losses.negative_marginal_entropy(certain)
    assert loss.item() == pytest.approx(-math.log(4), abs=1e-5)


def test_matched_contrast_of_one_sample_is_at_least_log_two() -> None:
    views = [torch.randn(1, 4, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    assert losses.matched_contrast(views).item() > math.log(2)
    assert losses.matched_contrast([views[0]] * 3).item() == pytest.approx(math.log(2))


def test_matched_contrast_by_loops() -> None:
    views = [torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    z = [v[i] / v[i].norm() for v in views for i in range(4)]
    total = 0.0
    for a in range(12):
        others = [k for k in range(12) if k != a]
        below = sum(math.exp(float(z[a] @ z[k]) / 0.1) for k in others)
        positive = [k for k in others if k % 4 == a % 4]
        total += sum(-math.log(math.exp(float(z[a] @ z[k]) / 0.1) / below) for k in positive) / 2
    assert losses.matched_contrast(views).item() == pytest.approx(total / 12)
