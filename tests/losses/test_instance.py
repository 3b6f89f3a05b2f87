from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from ipse.losses import index_cross_entropy

INDEX = torch.tensor([3, 0, 6])


def logits() -> torch.Tensor:
    return torch.randn(3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("smoothing", [0.0, 0.3, 0.8, 1.0])
def test_equals_the_formula(smoothing: float) -> None:
    surprise = -logits().softmax(1).log()
    expected = (1 - smoothing) * surprise[range(3), INDEX] + smoothing * surprise.mean(1)
    torch.testing.assert_close(index_cross_entropy(logits(), INDEX, smoothing), expected.mean())


def test_without_weights_the_loss_is_log_n() -> None:
    for smoothing in (0.0, 0.8, 1.0):
        assert index_cross_entropy(torch.zeros(3, 7), INDEX, smoothing).item() == pytest.approx(math.log(7), rel=1e-6)


def test_no_smoothing_is_instance_classification() -> None:
    torch.testing.assert_close(index_cross_entropy(logits(), INDEX, 0.0), F.cross_entropy(logits(), INDEX))


def test_full_smoothing_is_least_where_logits_are_equal() -> None:
    least = math.log(7)
    for scale in (0.1, 1.0, 5.0):
        assert index_cross_entropy(scale * logits(), INDEX, 1.0).item() > least


def test_gradient_of_the_rows() -> None:
    weight, h = torch.randn(7, 4, dtype=torch.float64, requires_grad=True), torch.randn(3, 4, dtype=torch.float64)
    index_cross_entropy(h @ weight.T, INDEX, 0.8).backward()
    p = (h @ weight.T).softmax(1)
    target = 0.2 * F.one_hot(INDEX, 7) + 0.8 / 7
    torch.testing.assert_close(weight.grad, ((p - target).T @ h).detach() / 3)
