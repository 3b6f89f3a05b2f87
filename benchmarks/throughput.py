"""The real training loop as a share of the bare forward, backward and optimizer step on tensors that are ready."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from benchmarks.timing import Figures, show, spread
from benchmarks.views import pictures
from ipse import callbacks, models
from ipse.data import Images
from ipse.losses.contrastive import nt_xent
from ipse.methods.pretrain.simclr import SimCLR
from ipse.optim.optimizers import build, parameter_groups
from ipse.optim.schedules import cosine
from ipse.training import Batch, Feed, Plan, fit
from ipse.transforms import Policy


def bare(size: int, batch: int, steps: int) -> float:
    """Images per second of encoder and head alone: the same shapes, memory format and optimizer, the same two tensors again and again."""
    method = SimCLR(models.create("small_conv", 3, size)).to(memory_format=torch.channels_last)
    optimizer = build("adamw", parameter_groups(method, 1e-4), lr=1e-3)
    views = [torch.randn(batch, 3, size, size).to(memory_format=torch.channels_last) for _ in range(2)]

    def step() -> Tensor:
        z1, z2 = (method.projector(method.encoder(x)) for x in views)
        loss = nt_xent(z1, z2, method.temperature)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    step()
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return steps * batch / (time.perf_counter() - start)


def loop(images: Images, size: int, batch: int, steps: int) -> tuple[float, float]:
    """Images per second in the middle of a long run, logs and snapshots included, and the share of the time that views took."""
    method = SimCLR(models.create("small_conv", 3, size))
    feed = _Stopping(images, method.sees, Policy.usual(3, size), size, batch, 0)
    feed.last = steps + 1
    with tempfile.TemporaryDirectory() as folder, suppress(_Enough):
        log = callbacks.JsonLog(Path(folder) / "metrics.jsonl")
        plan = Plan(lr=1e-3, schedule=cosine, steps=2000)
        fit(Fabric(accelerator="cpu", devices=1), method, feed, plan, observers=[log], path=Path(folder) / "state.safetensors")
    seconds = feed.end - feed.second
    return steps * batch / seconds, feed.making / seconds


class _Enough(Exception):
    """The loop has run for as long as it was to be watched."""


class _Stopping(Feed):
    """A feed that notes when the second step begins (the first warms up), how long batches take from then on, and ends the run."""

    last = 0
    second = end = making = 0.0

    def batches(self, start: int, steps: int) -> Iterator[Batch]:
        stream = super().batches(start, steps)
        for step in range(start, steps):
            began = time.perf_counter()
            if step == self.last:
                self.end = began
                raise _Enough
            if step == start + 1:
                self.second, self.making = began, 0.0
            batch = next(stream)
            self.making += time.perf_counter() - began
            yield batch


def measure(size: int = 32, batch: int = 256, steps: int = 12, rounds: int = 5) -> Figures:
    """Images per second of both, in turns, and the share of each round's loop in that round's bare step."""
    images = Images(np.asarray(pictures(max(1024, batch), size)))
    rates: dict[str, list[float]] = {"bare": [], "loop": [], "views": [], "share": []}
    for _ in range(rounds):
        rates["bare"].append(bare(size, batch, steps))
        rate, views = loop(images, size, batch, steps)
        rates["loop"].append(rate)
        rates["views"].append(views)
        rates["share"].append(rate / rates["bare"][-1])
    return {name: spread(values) for name, values in rates.items()} | {"size": size, "batch": batch}


def render(figures: Figures) -> str:
    return f"""| small_conv, SimCLR, {figures["size"]} px, batch {figures["batch"]} | |
|---|---:|
| bare encoder + head on ready tensors, images per second | {show(figures["bare"])} |
| the whole loop, images per second | {show(figures["loop"])} |
| **share** | **{show(figures["share"], 3)}** |
| of the loop's time, making views | {show(figures["views"], 3)} |"""


if __name__ == "__main__":
    sys.stdout.write(render(measure()) + "\n")
