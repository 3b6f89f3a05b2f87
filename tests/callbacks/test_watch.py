"""Watching: the numbers are those of the measures, and a run is watched about twenty times however long it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ipse import models
from ipse.callbacks import Watch
from ipse.callbacks.watch import RECORDS
from ipse.data import Images, form, open_data
from ipse.errors import UserError
from ipse.metrics.neighbours import knn_accuracy
from ipse.metrics.rank import rankme


class Learner(nn.Module):
    """What a watch knows of a method: its encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = models.create("small_conv", form.image(3, 16), widths=(8, 8))


@pytest.fixture(scope="module")
def images(pictures: np.ndarray, labels: np.ndarray) -> Images:
    return open_data((pictures, labels), size=16).train


def test_the_numbers_are_those_of_the_measures(images: Images) -> None:
    method = Learner()
    watch = Watch({"rankme": rankme, "knn": None}, images, most=50)
    watch.start(10, 0)
    record = {"step": 0}
    state = {k: v.clone() for k, v in method.state_dict().items()}
    watch.record(method, record)
    method.eval()
    chosen = np.linspace(0, 199, 50).astype(int)
    with torch.no_grad():
        z = method.encoder(torch.tensor(images.x[chosen]) / 127.5 - 1)
    y = torch.tensor(images.y[chosen])
    assert record["watch/rankme"] == pytest.approx(rankme(z), rel=1e-4)
    assert sorted([*watch.bank.tolist(), *watch.asking.tolist()]) == list(range(50))
    assert torch.bincount(y[watch.asking]).tolist() == [round(0.3 * n) for n in torch.bincount(y).tolist()]
    assert record["watch/knn"] == knn_accuracy(z[watch.bank], y[watch.bank], z[watch.asking], y[watch.asking])
    assert all(torch.equal(v, state[k]) for k, v in method.state_dict().items())  # looking changes nothing


def test_the_mode_is_left_as_it_was(images: Images) -> None:
    method = Learner().train()
    watch = Watch({"rankme": rankme}, images, most=10)
    watch.start(1, 0)
    watch.record(method, {"step": 0})
    assert method.encoder.training


@pytest.mark.parametrize("steps", [1, 5, 39, 40, 1000, 4331, 6560, 54_321, 1_000_003])
def test_the_cost_is_bounded(images: Images, steps: int) -> None:
    every = max(1, steps // RECORDS)  # as the loop records
    taken, resumed = (
        [step for step in range(0, steps, every) if _watches(images, steps, first, step)] for first in (0, steps // 3)
    )
    assert taken == resumed
    assert min(steps, 15) <= len(taken) <= 21


def _watches(images: Images, steps: int, first: int, step: int) -> bool:
    watch = Watch({}, images, most=10)
    watch.start(steps, first)
    return step % watch.every == 0 or step == watch.last


def test_at_most_so_many_samples(images: Images) -> None:
    assert len(Watch({}, images).samples) == 200
    assert len(Watch({}, images, most=30).samples) == 30
    every_class_once = images.subset(range(10)).relabelled(np.arange(10))
    assert len(Watch({}, every_class_once).samples) == 10


def test_neighbours_need_labels(images: Images) -> None:
    for y in (np.full(200, -1), np.where(np.arange(200) == 5, 0, -1)):
        with pytest.raises(UserError, match="--watch knn: needs labels"):
            Watch({"knn": None}, images.relabelled(y))
    few = np.full(200, -1)
    few[:4] = [0, 0, 1, 1]
    watch = Watch({"knn": None}, images.relabelled(few))
    assert (len(watch.bank), len(watch.asking)) == (2, 2)
