"""What holds for every method of the catalogue, alone and with every regularizer."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp

from ipse import models, papers
from ipse.data import Images, open_data
from ipse.jobs.settings import build
from ipse.training import Feed, Method, Step
from ipse.transforms import Policy

METHODS = sorted(p.key for p in papers.everything().values() if p.role == "method" and p.job == "pretrain")
REGULARIZERS = sorted(p.key for p in papers.everything().values() if p.role == "regularizer")
SMALL = {
    "simclr": {"hidden": 32, "width": 16},
    "dcl": {"hidden": 32, "width": 16},
    "barlow-twins": {"widths": [32, 32]},
    "w-mse": {"hidden": 32, "width": 4, "size": 16},
    "moco-v3": {"widths": [32, 32, 16], "predictor": 32},
    "byol": {"hidden": 32, "width": 16},
    "tribyol": {"hidden": 32, "width": 16},
}
BATCH = 32


def small(key: str, channels: int = 3) -> Method:
    usual = papers.load(key, "method").usual_encoder
    config = {"method": key, "set": SMALL.get(key, {}), "encoder": usual, "channels": channels, "size": 16}
    return build({**config, "pretrained": False, "seed": 0, "batch_size": BATCH}, 200)


def feed_for(method: Method, images: Images, seed: int = 0) -> Feed:
    return Feed(images, method.sees, Policy.usual(images.channels, 16), 16, BATCH, seed)


def gradients(method: Method, step: Step) -> dict[str, torch.Tensor]:
    method.zero_grad()
    step.loss.backward()
    return {n: p.grad.clone() for n, p in method.named_parameters() if p.grad is not None}


@pytest.fixture(scope="module")
def images(pictures: np.ndarray) -> Images:
    return open_data(pictures).train


@pytest.mark.parametrize("key", METHODS)
def test_finite_loss_and_gradients_in_fp32_and_bf16(key: str, images: Images) -> None:
    method = small(key)
    batch = feed_for(method, images).batch(0)
    for context in (torch.autocast("cpu", enabled=False), torch.autocast("cpu", torch.bfloat16)):
        with context:
            step = method.loss(batch)
        assert step.loss.shape == ()
        assert all(torch.isfinite(g).all() for g in gradients(method, step).values())
        learns = [n for n, p in method.named_parameters() if p.requires_grad and "teacher" not in n]
        assert {n for n, p in method.named_parameters() if p.grad is not None} == set(learns)


@pytest.mark.parametrize("key", METHODS)
def test_the_same_batch_gives_the_same_bits(key: str, images: Images) -> None:
    losses = []
    for _ in range(2):
        method = small(key)
        losses.append(method.loss(feed_for(method, images).batch(3)).loss)
    assert torch.equal(*losses)


@pytest.mark.parametrize("key", METHODS)
def test_the_order_of_the_batch_does_not_matter(key: str, images: Images) -> None:
    method = small(key)
    batch = feed_for(method, images).batch(0)
    order = torch.randperm(BATCH, generator=torch.Generator().manual_seed(1))
    shuffled = copy.copy(batch)
    shuffled.index, shuffled.position = batch.index[order], batch.position[order]
    shuffled.views = [type(v)(v.x[order], v.matrix[order], v.colour[order]) for v in batch.views]
    torch.testing.assert_close(method.loss(shuffled).loss, method.loss(batch).loss, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("key", METHODS)
def test_a_few_steps_lower_the_loss(key: str, images: Images) -> None:
    method = small(key)
    batch = feed_for(method, images).batch(0)
    optimizer = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], lr=1e-3)
    losses = []
    for _ in range(8):
        loss = method.loss(batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("key", METHODS)
@pytest.mark.parametrize("plus", REGULARIZERS)
def test_every_regularizer_reaches_the_encoder(key: str, plus: str, images: Images) -> None:
    method, regularizer = small(key), papers.load(plus, "regularizer")()
    step = method.loss(feed_for(method, images).batch(0))
    term = regularizer(*getattr(step, regularizer.on))
    term.backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in method.encoder.parameters())


@pytest.mark.parametrize("key", METHODS)
def test_state_goes_to_disk_and_back(key: str, images: Images, tmp_path: Path) -> None:
    from ipse.training import state

    method, other = small(key), small(key)
    optimizers = [torch.optim.AdamW([p for p in m.parameters() if p.requires_grad], fused=True) for m in (method, other)]
    for step in range(2):
        batch = feed_for(method, images).batch(step)
        method.loss(batch).loss.backward()
        optimizers[0].step()
        method.after_step(batch)
    state.write(state.take(method, optimizers[0], step=2), tmp_path / "s.safetensors")
    state.restore(state.read(tmp_path / "s.safetensors"), other, optimizers[1])
    one, two = method.state_dict(), other.state_dict()
    assert all(torch.equal(one[k], two[k]) for k in one)
    slots = [o.state_dict()["state"] for o in optimizers]
    assert all(torch.equal(v, slots[1][i][k]) for i, s in slots[0].items() for k, v in s.items())


@pytest.mark.parametrize("key", METHODS)
def test_single_channel_pictures(key: str, pictures: np.ndarray) -> None:
    grey = open_data(np.ascontiguousarray(pictures[:, :1])).train
    method = small(key, channels=1)
    assert torch.isfinite(method.loss(feed_for(method, grey).batch(0)).loss)


@pytest.mark.parametrize("key", METHODS)
def test_a_wrong_number_of_channels_is_an_error_that_says_so(key: str, images: Images) -> None:
    method = small(key, channels=1)
    with pytest.raises((RuntimeError, ValueError)):
        method.loss(feed_for(method, images).batch(0))


def _on_one_of_two(rank: int, port: int, key: str, pictures: np.ndarray, queue: mp.SimpleQueue) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", world_size=2, rank=rank)
    result = _loss_and_gradients(key, pictures)
    if rank == 0:
        queue.put(result)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def _loss_and_gradients(key: str, pictures: np.ndarray) -> dict[str, tuple[float, float]]:
    """For one method, or all: the global loss, and the norm of the averaged gradient of the encoder."""
    from ipse.distributed import all_mean, world_size

    results = {}
    for name in METHODS if key == "all" else [key]:
        method = models.synchronised(small(name))
        step = method.loss(feed_for(method, open_data(pictures).train).batch(0))
        step.loss.backward()
        grads = [p.grad for p in method.encoder.parameters() if p.grad is not None]
        flat = (
            all_mean(torch.cat([g.reshape(-1) for g in grads]).clone())
            if world_size() > 1
            else torch.cat([g.reshape(-1) for g in grads])
        )
        results[name] = (float(all_mean(step.loss.detach())), float(flat.norm()))
    return results


def test_two_processes_equal_one(pictures: np.ndarray) -> None:
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    context = mp.get_context("fork")
    queue = context.SimpleQueue()
    workers = [context.Process(target=_on_one_of_two, args=(rank, port, "all", pictures, queue)) for rank in range(2)]
    for worker in workers:
        worker.start()
    two = queue.get()
    for worker in workers:
        worker.join()
    one = _loss_and_gradients("all", pictures)
    for name in METHODS:
        assert two[name] == pytest.approx(one[name], rel=2e-3), name
