"""What holds for every method of distillation, on every kind of data."""

from __future__ import annotations

import socket
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from tests.methods.kinds import ENCODERS, samples
from tests.methods.test_every_method import gradients, reordered, still

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
    batch = feed.batch(0)
    for context in (torch.autocast("cpu", enabled=False), torch.autocast("cpu", torch.bfloat16)):
        with context:
            step = method.loss(batch)
        assert step.loss.shape == ()
        assert step.loss.dtype == torch.float32
        found = gradients(method, step)
        assert all(g.isfinite().all() for g in found.values())
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
    losses = []
    for _ in range(2):
        torch.manual_seed(1)
        method, feed = ready(key, kind)
        losses.append(method.loss(feed.batch(3)).loss)
    assert torch.equal(*losses)


@some_cases
def test_the_order_of_the_batch_does_not_matter(key: str, kind: str) -> None:
    method, feed = ready(key, kind)
    still(method)
    batch = feed.batch(0)
    order = torch.randperm(BATCH, generator=torch.Generator().manual_seed(1))
    other = replace(reordered(batch, order), y=batch.y[order])
    torch.testing.assert_close(method.loss(other).loss, method.loss(batch).loss, rtol=1e-3, atol=1e-4)


@some_cases
def test_a_few_steps_lower_the_loss_and_leave_the_teacher_as_it_is(key: str, kind: str) -> None:
    method, feed = ready(key, kind)
    still(method)
    batch = feed.batch(0)
    teacher = getattr(method, "teacher", None)
    before = [] if teacher is None else [t.clone() for t in teacher.model.state_dict().values()]
    optimizer = torch.optim.Adam(method.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        loss = method.loss(batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert min(losses[1:]) < losses[0]
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
    from ipse.training import state

    pairs = [ready(key, kind) for _ in range(2)]
    optimizers = [optimizer_of("dot", [{"params": list(m.parameters()), "weight_decay": 0.1}], lr=0.01) for m, _ in pairs]
    (method, feed), (other, _) = pairs
    for step in range(2):
        batch = feed.batch(step)
        named = {name: method.loss(batch).terms[name] for name in method.terms}
        optimizers[0].gradients = terms.backward(named, list(method.parameters()))
        optimizers[0].step()
    state.write(state.take(method, optimizers[0], step=2), tmp_path / "s.safetensors")
    state.restore(state.read(tmp_path / "s.safetensors"), other, optimizers[1])
    one, two = method.state_dict(), other.state_dict()
    assert not any(name.startswith("teacher") for name in one)
    assert all(torch.equal(one[k], two[k]) for k in one)
    slots = [o.state_dict()["state"] for o in optimizers]
    assert all(torch.equal(v, slots[1][i][k]) for i, s in slots[0].items() for k, v in s.items())


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
    batch = feed.batch(0)
    grey = replace(batch, views=[replace(view, x=view.x[:, :1]) for view in batch.views])
    with pytest.raises((RuntimeError, ValueError)):
        method.loss(grey)


def _loss_and_gradient(key: str, kind: str) -> tuple[float, float]:
    """The global loss, and the norm of the averaged gradient."""
    from ipse.distributed import all_mean

    method, feed = ready(key, kind)
    method = models.synchronised(method)
    still(method)
    step = method.loss(feed.batch(0))
    step.loss.backward()
    flat = torch.cat([p.grad.reshape(-1) for p in method.parameters() if p.grad is not None])
    return float(all_mean(step.loss.detach())), float(all_mean(flat).norm())


def _without_raising(key: str, kind: str) -> Any:
    """What this process finds; an error of one method must not leave the other process waiting for ever."""
    try:
        return _loss_and_gradient(key, kind)
    except Exception as error:
        return repr(error)


def _on_one_of_two(rank: int, port: int, queue: mp.SimpleQueue) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", world_size=2, rank=rank)
    results: dict[tuple[str, str], Any] = {}
    for case in CASES:
        results[case] = _without_raising(*case)
    if rank == 0:
        queue.put(results)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def test_two_processes_equal_one() -> None:
    one = {case: _loss_and_gradient(*case) for case in CASES}
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    context = mp.get_context("fork")
    queue = context.SimpleQueue()
    workers = [context.Process(target=_on_one_of_two, args=(rank, port, queue)) for rank in range(2)]
    for worker in workers:
        worker.start()
    two = queue.get()
    for worker in workers:
        worker.join()
    wrong = {case: (two[case], one[case]) for case in CASES if two[case] != pytest.approx(one[case], rel=2e-3)}
    assert not wrong
