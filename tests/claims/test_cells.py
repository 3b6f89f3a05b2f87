"""Simulated cells: every class in every picture, the same for a seed, and the masks of some pictures hidden."""

from __future__ import annotations

import numpy as np
import torch

from ipse.claims.harness.cells import CLASSES, cells


def test_cells_have_all_classes_and_a_seed_of_their_own() -> None:
    data, again, other = cells(12, 5, 4, 0, 32), cells(12, 5, 4, 0, 32), cells(12, 5, 4, 1, 32)
    assert data.classes == CLASSES
    assert data.test is not None
    assert data.train.y.tolist() == [0] * 4 + [-1] * 8
    assert data.test.y.tolist() == [0] * 5
    one = data.train.read(np.arange(12))
    assert one["x"].shape == (12, 3, 32, 32)
    assert one["mask"].shape == (12, 32, 32)
    for mask in one["mask"]:
        assert mask.unique().tolist() == [0, 1, 2]
    assert torch.equal(one["x"], again.train.read(np.arange(12))["x"])
    assert not torch.equal(one["x"], other.train.read(np.arange(12))["x"])


def test_a_nucleus_is_darker_than_its_cell_and_that_than_most_around() -> None:
    raw = cells(40, 1, 40, 0, 32).train.read(np.arange(40))
    grey = raw["x"].float().mean(1)
    means = torch.stack([torch.stack([grey[i][raw["mask"][i] == k].mean() for k in range(3)]) for i in range(40)])
    assert (means[:, 2] < means[:, 1]).all()
    assert means[:, 1].mean() < means[:, 0].mean()
