"""What holds for every method that teaches a classifier, from few labels or from a teacher, on every kind of data it is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from tests.methods import checks
from tests.methods.kinds import ENCODERS, samples

from ipse import models, papers
from ipse.data import Samples
from ipse.data.form import MODALITIES
from ipse.jobs.settings import ROLES, build
from ipse.jobs.teachers import Teacher
from ipse.optim.schedules import constant
from ipse.training import Feed, Plan, Taught, fit
from ipse.transforms import viewer

METHODS = {
    key: job for job in ("selftrain", "distill") for key in sorted(p.key for p in papers.of(kind=ROLES[job]) if p.job == job)
}
CASES = [(key, kind) for key, job in METHODS.items() for kind in (papers.load(key, ROLES[job]).modalities or MODALITIES)]
MASKED = [(key, "masks") for key, job in METHODS.items() if job == "selftrain" and papers.load(key, ROLES[job]).by_pixel]
FIRST = [*{key: (key, kind) for key, kind in reversed(CASES)}.values()][::-1] + MASKED
CLASSES = ("0", "1", "2")
BATCH, STEPS = 16, 3
every_case = pytest.mark.parametrize(("key", "kind"), CASES + MASKED)
first_case = pytest.mark.parametrize(("key", "kind"), FIRST)


def half_labelled(kind: str) -> Samples:
    part = samples(kind)
    return part if kind == "masks" else part.relabelled(np.where(np.arange(len(part)) % 2, -1, np.arange(len(part)) // 2 % 3))


def classifier(kind: str, seed: int = 0) -> models.Classifier:
    name = models.usual(kind)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return models.Classifier(models.create(name, samples(kind).form, **ENCODERS[name]), CLASSES)


def small(key: str, kind: str) -> Any:
    job = METHODS[key]
    cls = papers.load(key, ROLES[job])
    name = cls.usual_encoder or usual(kind, transformer=cls.transformer or cls.needs_tokens)
    config = {
        "job": job,
        "method": key,
        "set": {},
        "encoder": name,
        "encoder_options": {**ENCODERS[name], **cls.encoder_options},
    }
    teacher = Teacher(models.Frozen(classifier(kind, seed=1)), CLASSES) if job == "distill" else None
    rest = {"classes": CLASSES, "pretrained": False, "seed": 0, "batch_size": BATCH}
    return build({**config, **rest}, half_labelled(kind), teacher)


def usual(kind: str, transformer: bool) -> str:
    return "unet" if kind == "masks" else models.usual(kind, transformer=transformer)


class Losses:
    """Keeps what the loop says."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.events: list[str] = []

    def start(self, steps: int, first: int) -> None: ...
    def close(self) -> None: ...

    def record(self, method: Any, record: dict[str, Any]) -> None:
        self.records.append(record)

    def event(self, step: int, text: str) -> None:
        self.events.append(text)


def fitted(
    key: str,
    kind: str,
    fabric: Fabric | None = None,
    *,
    steps: int = STEPS,
    path: Path | None = None,
    resume: bool = False,
    **words: Any,
) -> tuple[Taught, Losses]:
    method, data, seen = small(key, kind), half_labelled(kind), Losses()
    fabric = fabric or Fabric(accelerator="cpu", devices=1)
    if fabric.world_size > 1:
        method = models.synchronised(method)
    feed = Feed(data, method.sees, viewer(data.form, samples=data), BATCH, 0)
    plan = Plan(**{"lr": 1e-3, "schedule": constant, "steps": steps, "warmup": 0.0, "save_seconds": 0.0} | words)
    fit(fabric, method, feed, plan, observers=[seen], path=path, resume=resume)
    return method, seen


def weights(method: Taught) -> dict[str, torch.Tensor]:
    return {name: x.clone() for name, x in method.learned.state_dict().items()}


@every_case
def test_it_learns_and_all_stays_finite(key: str, kind: str) -> None:
    before = weights(small(key, kind))
    method, seen = fitted(key, kind)
    after = weights(method)
    assert not seen.events
    assert len(seen.records) == STEPS
    assert all(torch.isfinite(x).all() for x in after.values() if x.is_floating_point())
    assert any(not torch.equal(before[name], x) for name, x in after.items() if name.startswith("encoder."))
    assert {name for name, x in before.items() if x.shape != after[name].shape} == set()
    assert method.learned.classes == CLASSES


@first_case
def test_half_precision(key: str, kind: str) -> None:
    _, seen = fitted(key, kind, Fabric(accelerator="cpu", devices=1, precision="bf16-mixed"))
    assert not seen.events
    assert all(np.isfinite(record["loss"]) for record in seen.records)


@first_case
def test_again_the_same_bits_and_resumed_the_same_too(key: str, kind: str, tmp_path: Path) -> None:
    class Stop(Losses):
        def record(self, method: Any, record: dict[str, Any]) -> None:
            super().record(method, record)
            if record["step"] == 1:
                raise KeyboardInterrupt

    whole, _ = fitted(key, kind)
    method, data = small(key, kind), half_labelled(kind)
    feed = Feed(data, method.sees, viewer(data.form, samples=data), BATCH, 0)
    plan = Plan(lr=1e-3, schedule=constant, steps=STEPS, warmup=0.0, save_seconds=0.0)
    path = tmp_path / "state.safetensors"
    with pytest.raises(KeyboardInterrupt):
        fit(Fabric(accelerator="cpu", devices=1), method, feed, plan, observers=[Stop()], path=path)
    resumed, seen = fitted(key, kind, path=path, resume=True)
    assert [record["step"] for record in seen.records] == [1, 2]
    one, other = weights(whole), weights(resumed)
    assert all(torch.equal(one[name], other[name]) for name in one)


@first_case
def test_terms_that_it_promises_add_up_to_its_loss(key: str, kind: str) -> None:
    method, seen = fitted(key, kind)
    for record in seen.records if method.terms else ():
        assert sum(record[name] for name in method.terms) == pytest.approx(record["loss"], rel=1e-4)


@first_case
def test_a_wrong_number_of_channels_is_an_error_that_says_so(key: str, kind: str) -> None:
    if kind not in ("image", "masks") or hasattr(papers.load(key, ROLES[METHODS[key]]), "update"):
        return
    method, data = small(key, kind), half_labelled(kind)
    checks.says_that_channels_are_wrong(method, Feed(data, method.sees, viewer(data.form), BATCH, 0).batch(0))


def _losses_and_way(fabric: Fabric, key: str, kind: str) -> list[float]:
    """The losses, and how far the classifier has come."""
    start = weights(small(key, kind))
    method, seen = fitted(key, kind, fabric, steps=2, optimizer="sgd", lr=0.01)
    moved = [(x - start[name]).norm() for name, x in weights(method).items() if "running" not in name and x.is_floating_point()]
    return [record["loss"] for record in seen.records] + [float(torch.stack(moved).norm())]


def test_two_processes_equal_one() -> None:
    checks.is_in_two_processes_as_in_one(_losses_and_way, FIRST, 2e-2)
