"""Losses on a model's own labels, of samples and of places."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ipse.losses import confident_consistency, labelled, pseudo_labels, sharpened_consistency

WEAK = torch.tensor([[4.0, 0.0, 0.0], [0.5, 0.0, 0.0], [0.0, 0.0, 5.0]])
STRONG = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 2.0, 0.0]])
ALL = torch.ones(3, dtype=torch.bool)


def test_labelled_is_torchs_cross_entropy_of_the_chosen() -> None:
    y, chosen = torch.tensor([2, -1, 0]), torch.tensor([True, False, True])
    for smoothing in (0.0, 0.15):
        expected = F.cross_entropy(STRONG[chosen], y[chosen], label_smoothing=smoothing)
        torch.testing.assert_close(labelled(STRONG, y, chosen, smoothing), expected)


def test_nothing_is_sure_enough_above_one_and_everything_at_zero() -> None:
    assert confident_consistency(WEAK, STRONG, ALL, threshold=1.01) == 0
    torch.testing.assert_close(
        confident_consistency(WEAK, STRONG, ALL, threshold=0.0), F.cross_entropy(STRONG, torch.tensor([0, 0, 2]))
    )


def test_the_mean_counts_those_that_are_not_sure() -> None:
    each = F.cross_entropy(STRONG, torch.tensor([0, 0, 2]), reduction="none")
    torch.testing.assert_close(confident_consistency(WEAK, STRONG, ALL, 0.9), (each[0] + each[2]) / 3)


@pytest.mark.parametrize("loss", [confident_consistency, sharpened_consistency])
def test_gradient_flows_through_the_strong_view_alone(loss) -> None:  # type: ignore[no-untyped-def]
    weak, strong = WEAK.clone().requires_grad_(), STRONG.clone().requires_grad_()
    loss(weak, strong, ALL).backward()
    assert weak.grad is None
    assert strong.grad is not None
    assert strong.grad.abs().sum() > 0


def test_every_place_of_a_mask_counts() -> None:
    weak, strong = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    flat = [x.movedim(1, -1).reshape(-1, 3) for x in (weak, strong)]
    expected = confident_consistency(*flat, torch.ones(40, dtype=torch.bool), 0.5)
    torch.testing.assert_close(confident_consistency(weak, strong, ALL[:2], 0.5), expected)
    label, confidence = pseudo_labels(weak)
    assert label.shape == confidence.shape == (2, 4, 5)
    one = confident_consistency(weak, strong, torch.tensor([True, False]), 0.5)
    torch.testing.assert_close(one, confident_consistency(weak[:1], strong[:1], ALL[:1], 0.5))


def test_sharpening_by_hand() -> None:
    q = F.softmax(WEAK[0] / 0.5, 0)
    expected = -(q * F.log_softmax(STRONG[0], 0)).sum() / 3  # the second is not sure, the third is not chosen
    chosen = torch.tensor([True, True, False])
    torch.testing.assert_close(sharpened_consistency(WEAK, STRONG, chosen, 0.5, 0.9), expected * 3 / 2)
