"""Small encoders by what they learn in a given time on this machine: kNN accuracy on CIFAR-10 after 3 and 10 minutes of SimCLR."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from benchmarks.timing import Figures
from ipse import models
from ipse.data import Samples, form, open_data
from ipse.methods.pretrain.simclr import SimCLR
from ipse.metrics import knn_accuracy
from ipse.metrics.embedding import embeddings
from ipse.optim import build, parameter_groups
from ipse.training import Feed
from ipse.transforms import viewer

LR, WARMUP, BATCH = 1e-3, 50, 256
CANDIDATES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "small_conv, 32-64-128": ("small_conv", {}),
    "small_conv, 48-96-192": ("small_conv", {"widths": (48, 96, 192)}),
    "small_conv, 64-128-256 on a grid of 8": ("small_conv", {"widths": (64, 128, 256), "grid": 8}),
    "small_vit": ("small_vit", {}),
}


class Learner:
    """One candidate: it learns in turns with the others, and its clock runs only while it does."""

    def __init__(self, name: str, options: dict[str, Any], train: Samples):
        torch.manual_seed(0)
        self.method = SimCLR(models.create(name, form.image(3, 32), **options)).to(memory_format=torch.channels_last)
        self.optimizer = build("adamw", parameter_groups(self.method, 1e-4), LR)
        self.feed = Feed(train, self.method.sees, viewer(form.image(3, 32)), BATCH, 0)
        self.seconds, self.step = 0.0, 0

    def learn(self, until: float) -> None:
        while self.seconds < until:
            start = time.perf_counter()
            for group in self.optimizer.param_groups:
                group["lr"] = LR * min(1.0, (self.step + 1) / WARMUP)
            self.method.loss(self.feed.batch(self.step)).loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.step += 1
            self.seconds += time.perf_counter() - start


def measure(minutes: tuple[float, ...] = (3, 10), turn: float = 30, bank: int = 20_000, asked: int = 5_000) -> Figures:
    """The candidates learn in turns of so many seconds, so that whatever else the machine does is shared by all."""
    data = open_data("cifar10")
    assert data.test is not None
    train, test = data.train, data.test
    learners = {title: Learner(name, options, train) for title, (name, options) in CANDIDATES.items()}
    figures: Figures = {
        title: {"parameters": sum(p.numel() for p in encoder.parameters()), "dim": encoder.dim, "knn": {}}
        for title, encoder in ((title, learner.method.encoder) for title, learner in learners.items())
    }
    spent = 0.0
    for end in minutes:
        while spent < 60 * end:
            spent = min(spent + turn, 60 * end)
            for learner in learners.values():
                learner.learn(spent)
        for title, learner in learners.items():
            figures[title]["knn"][f"{end:g}"] = judge(learner.method.encoder, train, test, bank, asked)
            figures[title]["samples_per_second"] = learner.step * BATCH / learner.seconds
    return figures


def judge(encoder: models.Encoder, train: Samples, test: Samples, bank: int, asked: int) -> float:
    parts = [part.subset(torch.arange(min(n, len(part)))) for part, n in ((train, bank), (test, asked))]
    z: list[Tensor] = [embeddings(encoder, part) for part in parts]
    y = [torch.as_tensor(part.y) for part in parts]
    return knn_accuracy(z[0], y[0], z[1], y[1])


def render(figures: Figures) -> str:
    times = list(next(iter(figures.values()))["knn"])
    head = ["encoder", "parameters", "dimensions", "images per second", *(f"kNN after {t} min" for t in times)]
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    lines += [
        f"| {title} | {f['parameters']:,} | {f['dim']} | {f['samples_per_second']:,.0f} | "
        + " | ".join(f"{100 * f['knn'][t]:.1f} %" for t in times)
        + " |"
        for title, f in figures.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(render(measure()) + "\n")
