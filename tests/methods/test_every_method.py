"""What holds for every method of the catalogue, on every kind of data it is for, alone and with every regularizer."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp
from tests.methods.kinds import ENCODERS, samples

from ipse import models, papers
from ipse.data import Samples
from ipse.data.form import MODALITIES
from ipse.jobs.settings import build
from ipse.training import Batch, Feed, Method, Step
from ipse.transforms import View, viewer

METHODS = sorted(p.key for p in papers.everything().values() if p.role == "method" and p.job == "pretrain")
REGULARIZERS = sorted(p.key for p in papers.everything().values() if p.role == "regularizer")
SMALL: dict[str, dict[str, Any]] = {
    "simclr": {"hidden": 32, "width": 16},
    "dcl": {"hidden": 32, "width": 16},
    "barlow-twins": {"widths": [32, 32]},
    "w-mse": {"hidden": 32, "width": 4, "size": 12},
    "moco-v3": {"widths": [32, 32, 16], "predictor": 32},
    "byol": {"hidden": 32, "width": 16},
    "tribyol": {"hidden": 32, "width": 16},
    "mae": {"width": 32, "depth": 1},
}
BATCH = 12
CASES = [(key, kind) for key in METHODS for kind in (papers.load(key, "method").modalities or MODALITIES)]
every_case = pytest.mark.parametrize(("key", "kind"), CASES)


def small(key: str, kind: str) -> Method:
    cls = papers.load(key, "method")
    name = cls.usual_encoder or models.usual(kind, transformer=cls.transformer or cls.needs_tokens)
    options = {**ENCODERS[name], **cls.encoder_options}
    config = {"method": key, "set": SMALL.get(key, {}), "encoder": name, "encoder_options": options}
    return build({**config, "pretrained": False, "seed": 0, "batch_size": BATCH}, samples(kind))


def feed_for(method: Method, data: Samples, seed: int = 0) -> Feed:
    return Feed(data, method.sees, viewer(data.form, samples=data), BATCH, seed)


def ready(key: str, kind: str) -> tuple[Method, Feed]:
    """A method at the beginning of its first round."""
    method = small(key, kind)
    feed = feed_for(method, samples(kind))
    method.before_round(0, feed)
    return method, feed


def gradients(method: Method, step: Step) -> dict[str, torch.Tensor]:
    method.zero_grad()
    step.loss.backward()
    return {n: p.grad.clone() for n, p in method.named_parameters() if p.grad is not None}


@every_case
def test_finite_loss_and_gradients_in_fp32_and_bf16(key: str, kind: str) -> None:
    method, feed = ready(key, kind)
    batch = feed.batch(0)
    for context in (torch.autocast("cpu", enabled=False), torch.autocast("cpu", torch.bfloat16)):
        with context:
            step = method.loss(batch)
        assert step.loss.shape == ()
        assert all(torch.isfinite(g).all() for g in gradients(method, step).values())
        learns = {n for n, p in method.named_parameters() if p.requires_grad and "teacher" not in n}
        taught = {n for n, p in method.named_parameters() if p.grad is not None}
        assert taught <= learns
        if method.rounds == 1:
            assert learns == taught


@every_case
def test_the_same_batch_gives_the_same_bits(key: str, kind: str) -> None:
    losses = []
    for _ in range(2):
        torch.manual_seed(1)
        method, feed = ready(key, kind)
        losses.append(method.loss(feed.batch(3)).loss)
    assert torch.equal(*losses)


@every_case
def test_the_order_of_the_batch_does_not_matter(key: str, kind: str) -> None:
    method, feed = ready(key, kind)
    still(method)
    batch = feed.batch(0)
    order = torch.randperm(BATCH, generator=torch.Generator().manual_seed(1))
    expected = method.loss(batch).loss
    torch.testing.assert_close(method.loss(reordered(batch, order)).loss, expected, rtol=1e-3, atol=1e-4)


def reordered(batch: Batch, order: torch.Tensor) -> Batch:
    def view(v: View) -> View:
        return View(*(None if t is None else t[order] for t in (v.x, v.matrix, v.colour)))

    return replace(batch, views=[view(v) for v in batch.views], index=batch.index[order], position=batch.position[order])


def still(method: Method) -> None:
    """Turns dropout off, which alone draws numbers from where it stands in a batch."""
    for module in method.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


@every_case
def test_a_few_steps_lower_the_loss(key: str, kind: str) -> None:
    method, feed = ready(key, kind)
    still(method)
    batch = feed.batch(0)
    optimizer = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], lr=1e-3)
    losses = []
    for _ in range(8):
        loss = method.loss(batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert min(losses[1:]) < losses[0]


@pytest.mark.parametrize(("key", "kind"), {key: (key, kind) for key, kind in reversed(CASES)}.values())
@pytest.mark.parametrize("plus", REGULARIZERS)
def test_every_regularizer_reaches_the_encoder(key: str, kind: str, plus: str) -> None:
    method, feed = ready(key, kind)
    regularizer = papers.load(plus, "regularizer")()
    step = method.loss(feed.batch(0))
    term = regularizer(*getattr(step, regularizer.on))
    term.backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in method.encoder.parameters())


@every_case
def test_state_goes_to_disk_and_back(key: str, kind: str, tmp_path: Path) -> None:
    from ipse.training import state

    (method, feed), other = ready(key, kind), small(key, kind)
    optimizers = [torch.optim.AdamW([p for p in m.parameters() if p.requires_grad], fused=True) for m in (method, other)]
    for step in range(2):
        batch = feed.batch(step)
        method.loss(batch).loss.backward()
        optimizers[0].step()
        method.after_step(batch)
    state.write(state.take(method, optimizers[0], step=2), tmp_path / "s.safetensors")
    state.restore(state.read(tmp_path / "s.safetensors"), other, optimizers[1])
    one, two = method.state_dict(), other.state_dict()
    assert all(torch.equal(one[k], two[k]) for k in one)
    slots = [o.state_dict()["state"] for o in optimizers]
    assert all(torch.equal(v, slots[1][i][k]) for i, s in slots[0].items() for k, v in s.items())


@pytest.mark.parametrize("key", [key for key, kind in CASES if kind == "image"])
def test_a_wrong_number_of_channels_is_an_error_that_says_so(key: str) -> None:
    method, feed = ready(key, "image")
    batch = feed.batch(0)
    grey = replace(batch, views=[replace(v, x=v.x[:, :1]) for v in batch.views])
    with pytest.raises((RuntimeError, ValueError)):
        method.loss(grey)


def _on_one_of_two(rank: int, port: int, cases: list[tuple[str, str]], queue: mp.SimpleQueue) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", world_size=2, rank=rank)
    results: dict[tuple[str, str], Any] = {}
    for case in cases:
        results[case] = _without_raising(*case)
    if rank == 0:
        queue.put(results)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def _without_raising(key: str, kind: str) -> Any:
    """What this process finds; an error of one method must not leave the other process waiting for ever."""
    try:
        return _loss_and_gradient(key, kind)
    except Exception as error:
        return repr(error)


def _loss_and_gradient(key: str, kind: str) -> tuple[float, float]:
    """The global loss, and the norm of the averaged gradient of the encoder."""
    from ipse.distributed import all_mean

    method, feed = ready(key, kind)
    method = models.synchronised(method)
    still(method)
    step = method.loss(
        feed.batch(1)
    )  # in batch 0 of audio a unit stands so near its kink that rounding decides on its gradient
    step.loss.backward()
    flat = torch.cat([p.grad.reshape(-1) for p in method.encoder.parameters() if p.grad is not None])
    return float(all_mean(step.loss.detach())), float(all_mean(flat).norm())


@pytest.mark.parametrize("kind", MODALITIES)
def test_two_processes_equal_one(kind: str) -> None:
    import socket

    cases = [case for case in CASES if case[1] == kind]
    one = {case: _loss_and_gradient(*case) for case in cases}
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    context = mp.get_context("fork")
    queue = context.SimpleQueue()
    workers = [context.Process(target=_on_one_of_two, args=(rank, port, cases, queue)) for rank in range(2)]
    for worker in workers:
        worker.start()
    two = queue.get()
    for worker in workers:
        worker.join()
    wrong = {case: (two[case], one[case]) for case in cases if two[case] != pytest.approx(one[case], rel=2e-3)}
    assert not wrong


def test_a_copy_is_independent() -> None:
    method = small("simclr", "image")
    assert copy.deepcopy(method).encoder is not method.encoder
