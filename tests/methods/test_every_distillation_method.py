"""What holds for every method of distillation, on every kind of data."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from tests.methods import checks
from tests.methods.checks import gradients, still
from tests.methods.kinds import ENCODERS, samples

from ipse import models, papers
from ipse.data import Samples
from ipse.data.form import MODALITIES
from ipse.jobs.settings import build
from ipse.jobs.teachers import Teacher
from ipse.training import Feed, Taught, terms
from ipse.transforms import viewer

METHODS = sorted(paper.key for paper in papers.of(kind="distill method"))
CASES = [(key, kind) for key in METHODS for kind in (papers.load(key, "distill method").modalities or MODALITIES)]
CLASSES = ("a", "b", "c", "d")
BATCH = 12
every_case = pytest.mark.parametrize(("key", "kind"), CASES)
some_cases = pytest.mark.parametrize(("key", "kind"), [(key, MODALITIES[i % 4]) for i, key in enumerate(METHODS)])


@cache
def labelled(kind: str) -> Samples:
    data = samples(kind)
    return data.relabelled(np.arange(len(data)) % len(CLASSES))


def classifier(kind: str) -> models.Classifier:
    name = models.usual(kind)
    return models.Classifier(models.create(name, samples(kind).form, **ENCODERS[name]), CLASSES)


def ready(key: str, kind: str) -> tuple[Taught, Feed]:
    """A method at the beginning of its second round, if it has one, with a teacher that was drawn at random."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        teacher = Teacher(models.Frozen(classifier(kind)), CLASSES)
    name, data = models.usual(kind), labelled(kind)
    about = {"encoder": name, "encoder_options": ENCODERS[name], "pretrained": False, "classes": CLASSES}
    config = {"job": "distill", "method": key, "set": {}, "seed": 0, "batch_size": BATCH, **about}
    method = build(config, data, teacher)
    assert isinstance(method, Taught)
    feed = Feed(data, method.sees, viewer(data.form, samples=data), BATCH, 0)
    for round in range(min(method.rounds, 2)):
        method.before_round(round, feed)
    return method, feed


@every_case
def test_finite_loss_and_gradients_in_fp32_and_bf16(key: str, kind: str) -> None:
    method, feed = ready(key, kind)
    for step, found in checks.is_finite_in_fp32_and_bf16(method, feed.batch(0)):
        assert step.loss.dtype == torch.float32
        assert found.keys() == {name for name, _ in method.named_parameters()}


@some_cases
def test_terms_add_up_to_the_loss_and_so_do_their_gradients(key: str, kind: str) -> None:
    method, feed = ready(key, kind)
    still(method)
    step = method.loss(feed.batch(0))
    assert method.terms == ("task", "distillation")
    torch.testing.assert_close(sum(step.terms[name] for name in method.terms), step.loss)
    parts = terms.backward({name: method.loss(feed.batch(0)).terms[name] for name in method.terms}, list(method.parameters()))
    whole = gradients(method, step)
    for name, parameter in method.named_parameters():
        torch.testing.assert_close(sum(parts[parameter].values()), whole[name], rtol=1e-3, atol=1e-4)


@some_cases
def test_the_same_batch_gives_the_same_bits(key: str, kind: str) -> None:
    checks.gives_the_same_bits(lambda: ready(key, kind))


@some_cases
def test_the_order_of_the_batch_does_not_matter(key: str, kind: str) -> None:
    checks.takes_a_batch_in_any_order(*ready(key, kind))


@some_cases
def test_a_few_steps_lower_the_loss_and_leave_the_teacher_as_it_is(key: str, kind: str) -> None:
    method, feed = ready(key, kind)
    teacher = getattr(method, "teacher", None)
    before = [] if teacher is None else [t.clone() for t in teacher.model.state_dict().values()]
    checks.lowers_its_loss(method, feed)
    assert all(map(torch.equal, before, teacher.model.state_dict().values() if teacher else []))


@some_cases
def test_samples_without_a_label_do_no_harm(key: str, kind: str) -> None:
    method, feed = ready(key, kind)
    few = labelled(kind).relabelled(np.where(np.arange(48) < 24, np.arange(48) % 4, -1))
    batch = Feed(few, method.sees, feed.viewer, BATCH, 0).batch(0)
    assert (batch.y >= 0).all() or not method.needs_labels
    found = gradients(method, method.loss(batch))
    assert all(g.isfinite().all() for g in found.values())
    if not method.needs_labels:
        alone = replace(batch, y=torch.full_like(batch.y, -1))
        assert method.loss(alone).loss.isfinite()


@some_cases
def test_state_goes_to_disk_and_back(key: str, kind: str, tmp_path: Path) -> None:
    from ipse.optim import build as optimizer_of

    pairs = [ready(key, kind) for _ in range(2)]
    optimizers = [optimizer_of("dot", [{"params": list(m.parameters()), "weight_decay": 0.1}], lr=0.01) for m, _ in pairs]
    (method, feed), (other, _) = pairs
    for step in range(2):
        batch = feed.batch(step)
        named = {name: method.loss(batch).terms[name] for name in method.terms}
        optimizers[0].gradients = terms.backward(named, list(method.parameters()))
        optimizers[0].step()
    checks.goes_to_disk_and_back((method, optimizers[0]), (other, optimizers[1]), tmp_path / "s.safetensors")
    assert not any(name.startswith("teacher") for name in method.state_dict())


@some_cases
def test_what_is_kept_is_the_student_alone(key: str, kind: str, tmp_path: Path) -> None:
    method, feed = ready(key, kind)
    models.save_classifier(method.learned, tmp_path)
    x = feed.batch(0).views[0].x
    expected = method.learned.eval()(x)
    torch.testing.assert_close(models.load_classifier(tmp_path)(x), expected)


@pytest.mark.parametrize("key", METHODS)
def test_a_wrong_number_of_channels_is_an_error_that_says_so(key: str) -> None:
    method, feed = ready(key, "image")
    checks.says_that_channels_are_wrong(method, feed.batch(0))


def _loss_and_gradient(fabric: Fabric, key: str, kind: str) -> tuple[float, float]:
    method, feed = ready(key, kind)
    return checks.loss_and_gradient(method, feed.batch(0), lambda method: method)


def test_two_processes_equal_one() -> None:
    checks.is_in_two_processes_as_in_one(_loss_and_gradient, CASES, 2e-3)
