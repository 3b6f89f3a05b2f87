"""The real training loop as a share of the bare forward, backward and optimizer step on tensors that are ready, for each kind of data."""

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

from benchmarks import views_audio, views_series, views_table
from benchmarks.timing import Figures, show, spread
from benchmarks.views import pictures
from ipse import callbacks, models
from ipse.data import Images, Samples, form
from ipse.data.form import RATE
from ipse.data.rows import Rows
from ipse.data.series import Series
from ipse.data.strings import Strings
from ipse.data.waves import Waves
from ipse.methods.pretrain.simclr import SimCLR
from ipse.optim.optimizers import build, parameter_groups
from ipse.optim.schedules import cosine
from ipse.training import Batch, Feed, Plan, fit
from ipse.transforms import View, viewer

# Of each kind of data: the encoder, the batch, and how many of its steps are timed for one of pictures.
KINDS = {
    "image": ("small_conv", 256, 1),
    "audio": ("mel_conv", 256, 1),
    "series": ("dilated_conv", 256, 1),
    "table": ("table_mlp", 256, 20),
}


def samples_of(kind: str, n: int) -> Samples:
    """n samples in memory: pictures of 32 px, clips of a second, series of 6 channels and 128 steps, rows of 32 columns."""
    if kind == "image":
        return Images(np.asarray(pictures(n, 32)))
    if kind == "audio":
        x, names = views_audio.clips(n, RATE).flatten().numpy(), Strings.of(map(str, range(n)))
        return Waves(x, np.arange(n) * RATE, np.full(n, RATE), np.full(n, -1), names, window=RATE)
    if kind == "series":
        steps = views_series.waves(n, 6, 128).transpose(1, 2).reshape(-1, 6).numpy()
        return Series(steps, np.arange(n) * 128, np.full(n, 128), form.series(6, 128))
    columns = [{"name": str(i), "categories": None, "mean": 0.0, "scale": 1.0} for i in range(32)]
    return Rows(views_table.rows(n, 32).numpy(), form.table(columns))


def bare(encoder: str, made_for: form.Form, batch: int, steps: int) -> float:
    """Samples per second of encoder and head alone: the same shapes, memory format and optimizer, the same two tensors again and again."""
    method = SimCLR(models.create(encoder, made_for)).to(memory_format=torch.channels_last)
    optimizer = build("adamw", parameter_groups(method, 1e-4), lr=1e-3)
    views = [torch.randn(batch, *form.shape(made_for)) for _ in range(2)]
    if made_for["modality"] == "image":
        views = [x.to(memory_format=torch.channels_last) for x in views]
    index = torch.arange(batch)
    ready = Batch([View(x) for x in views], index, index, 0, 0, steps)

    def step() -> None:
        method.loss(ready).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return steps * batch / (time.perf_counter() - start)


def loop(encoder: str, samples: Samples, batch: int, steps: int) -> tuple[float, float]:
    """Samples per second in the middle of a long run, logs and snapshots included, and the share of the time that views took."""
    method = SimCLR(models.create(encoder, samples.form))
    feed = _Stopping(samples, method.sees, viewer(samples.form, samples=samples), batch, 0)
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

    def batches(self, start: int, end: int, steps: int | None = None) -> Iterator[Batch]:
        stream = super().batches(start, end, steps)
        for step in range(start, end):
            began = time.perf_counter()
            if step == self.last:
                self.end = began
                raise _Enough
            if step == start + 1:
                self.second, self.making = began, 0.0
            batch = next(stream)
            self.making += time.perf_counter() - began
            yield batch


def measure(kinds: tuple[str, ...] = tuple(KINDS), most: int = 256, steps: int = 12, rounds: int = 5) -> Figures:
    """Samples per second of both, in turns, and the share of each round's loop in that round's bare step. most: samples of a batch."""
    figures: Figures = {}
    for kind in kinds:
        encoder, batch, times = KINDS[kind]
        batch, n = min(batch, most), steps * times
        samples = samples_of(kind, 4 * batch)
        rates: dict[str, list[float]] = {"bare": [], "loop": [], "views": [], "share": []}
        for _ in range(rounds):
            rates["bare"].append(bare(encoder, samples.form, batch, n))
            rate, views = loop(encoder, samples, batch, n)
            rates["loop"].append(rate)
            rates["views"].append(views)
            rates["share"].append(rate / rates["bare"][-1])
        about = {"encoder": encoder, "what": form.described(samples.form), "batch": batch}
        figures[kind] = {name: spread(values) for name, values in rates.items()} | about
    return figures


def render(figures: Figures) -> str:
    kinds = figures.items()
    rows = {
        "bare encoder + head on ready tensors, samples per second": [show(f["bare"]) for _, f in kinds],
        "the whole loop, samples per second": [show(f["loop"]) for _, f in kinds],
        "**share**": [f"**{show(f['share'], 3)}**" for _, f in kinds],
        "of the loop's time, making views": [show(f["views"], 3) for _, f in kinds],
    }
    heads = [f"{f['encoder']}, {f['what']}, batch {f['batch']}" for _, f in kinds]
    lines = ["| SimCLR | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    return "\n".join([*lines, *(f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows.items())])


if __name__ == "__main__":
    sys.stdout.write(render(measure()) + "\n")
