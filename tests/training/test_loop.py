"""What the loop does between a batch and the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from ipse.data import Images, form
from ipse.models import create
from ipse.optim.schedules import constant, cosine
from ipse.training import Batch, Feed, Method, Plan, Step, fit
from ipse.transforms import TwoViews
from ipse.transforms.image import ImagePolicy, ImageViewer

SIZE, BATCH = 8, 16


class Aligned(Method):
    """Brings two views together."""

    sees = TwoViews()

    def loss(self, batch: Batch) -> Step:
        z1, z2 = (self.encoder(x) for x in batch)
        return Step((z1 - z2).square().mean(), z=(z1, z2), h=(z1, z2), terms={"spread": z1.var()})


class Push:
    """Minus the mean of the embeddings."""

    on, weight = "z", 1.0

    def __init__(self, after_warmup: bool = False):
        self.after_warmup = after_warmup

    def __call__(self, *z: Tensor) -> Tensor:
        return -sum((x.mean() for x in z), torch.zeros(()))


class Watcher:
    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.events: list[str] = []
        self.started: tuple[int, int] | None = None
        self.closed = 0

    def start(self, steps: int, first: int) -> None:
        self.started = steps, first

    def record(self, method: nn.Module, record: dict[str, Any]) -> None:
        self.records.append(record)

    def event(self, step: int, text: str) -> None:
        self.events.append(text)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def images(pictures: np.ndarray) -> Images:
    return Images(pictures[:64])


def run(images: Images, plus: Sequence[tuple[str, float, Push]] = (), method: Method | None = None, **words: Any) -> Watcher:
    watcher = Watcher()
    if method is None:
        torch.manual_seed(0)
        method = Aligned(create("small_conv", form.image(3, SIZE), widths=(4, 8)))
    plan = Plan(**{"lr": 1e-3, "schedule": constant, "steps": 6, "warmup": 0.0} | words)
    feed = Feed(images, method.sees, ImageViewer(ImagePolicy(), SIZE), BATCH, 0)
    fit(Fabric(accelerator="cpu", devices=1), method, feed, plan, plus=plus, observers=[watcher])
    return watcher


def test_every_step_is_recorded(images: Images) -> None:
    watcher = run(images)
    assert watcher.started == (6, 0)
    assert [r["step"] for r in watcher.records] == list(range(6))
    assert [r["epoch"] for r in watcher.records] == [(step + 1) * BATCH / 64 for step in range(6)]
    assert all({"loss", "spread", "grad_norm", "lr", "samples_per_second"} <= r.keys() for r in watcher.records)
    assert watcher.closed == 1


def test_the_rate_follows_the_schedule(images: Images) -> None:
    rates = [r["lr"] for r in run(images, schedule=cosine, steps=10, warmup=0.2, lr=0.5).records]
    assert rates == pytest.approx([0.5 * cosine(10, 2)(step) for step in range(10)])


def test_a_regularizer_adds_its_weight_times_its_term(images: Images) -> None:
    alone, both = run(images).records[0], run(images, plus=[("push", 0.5, Push())]).records[0]
    assert both["loss"] == pytest.approx(alone["loss"] + 0.5 * both["push"], rel=1e-5)
    assert both["push"] != 0


def test_a_regularizer_may_wait_for_the_end_of_the_warm_up(images: Images) -> None:
    later = Push(after_warmup=True)
    with_it, without = (run(images, plus=p, warmup=0.5).records for p in ([("push", 0.5, later)], []))
    assert [r["loss"] for r in with_it[:3]] == [r["loss"] for r in without[:3]]
    assert with_it[3]["loss"] != without[3]["loss"]
    assert all("push" in r for r in with_it)


def test_clipping_bounds_the_step_not_the_number_on_record(images: Images) -> None:
    def moved(clip: float | None) -> tuple[float, float]:
        torch.manual_seed(0)
        method = Aligned(create("small_conv", form.image(3, SIZE), widths=(4, 8)))
        before = torch.cat([p.detach().flatten() for p in method.parameters()])
        record = run(images, method=method, steps=1, optimizer="sgd", lr=1.0, weight_decay=0.0, clip=clip).records[0]
        after = torch.cat([p.detach().flatten() for p in method.parameters()])
        return float((after - before).norm()), record["grad_norm"]

    (far, norm), (near, same) = moved(None), moved(1e-3)
    assert norm == same
    assert far == pytest.approx(norm, rel=1e-3)
    assert near == pytest.approx(1e-3, rel=1e-2)


def test_measuring_the_speed_leaves_no_trace(images: Images) -> None:
    measured = run(images, steps=None, minutes=0.01)
    steps = measured.started[0] if measured.started else 0
    assert steps >= 1
    given = run(images, steps=steps)
    assert [r["loss"] for r in measured.records] == [r["loss"] for r in given.records]


def test_observers_are_closed_when_something_breaks(images: Images) -> None:
    class Broken(Aligned):
        def after_step(self, batch: Batch) -> None:
            raise RuntimeError("broken")

    watcher = Watcher()
    method = Broken(create("small_conv", form.image(3, SIZE), widths=(4, 8)))
    feed = Feed(images, method.sees, ImageViewer(ImagePolicy(), SIZE), BATCH, 0)
    with pytest.raises(RuntimeError, match="broken"):
        fit(Fabric(accelerator="cpu", devices=1), method, feed, Plan(lr=1e-3, schedule=constant, steps=2), observers=[watcher])
    assert watcher.closed == 1
