"""The mean IoU of two labellings."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import jaccard_score

from ipse.errors import UserError
from ipse.metrics.segmentation import mean_iou


def test_against_scikit_learn() -> None:
    chance = torch.Generator().manual_seed(0)
    one, two = torch.randint(0, 4, (2, 5, 6, 6), generator=chance)
    expected = [jaccard_score(a.flatten(), b.flatten(), average="macro") for a, b in zip(one, two, strict=True)]
    torch.testing.assert_close(mean_iou(one, two, 4).double(), torch.tensor(expected, dtype=torch.float64))


def test_classes_that_neither_has_do_not_count_and_unknown_places_neither() -> None:
    one, two = torch.tensor([[0, 0, 2, -1]]), torch.tensor([[0, 2, 2, 1]])
    assert mean_iou(one, two, 9).item() == 0.5


def test_of_one_place_it_is_whether_both_say_the_same() -> None:
    assert mean_iou(torch.tensor([[1], [2]]), torch.tensor([[1], [0]]), 3).tolist() == [1.0, 0.0]


def test_other_places() -> None:
    with pytest.raises(UserError, match="same places"):
        mean_iou(torch.zeros(1, 3), torch.zeros(1, 4), 2)
