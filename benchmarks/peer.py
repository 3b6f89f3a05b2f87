"""SimCLR by ipse and by lightly's blocks in lightly's documented loop: images per second, and kNN accuracy against time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader

from benchmarks.timing import Figures
from benchmarks.views import Pairs
from ipse import models
from ipse.data import Images, form, open_data
from ipse.methods.pretrain.simclr import SimCLR
from ipse.metrics import knn_accuracy
from ipse.optim.schedules import constant
from ipse.training import Feed, Plan, fit
from ipse.transforms.image import ImagePolicy, ImageViewer

TEMPERATURE, LR, DECAY, HIDDEN, WIDTH = 0.2, 1e-3, 1e-4, 2048, 128
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])  # lightly's
OURS = torch.full((3,), 0.5)


class _Enough(Exception):
    """The time is up."""


class Curve:
    """Counts images and judges the encoder at `points` moments of training time; judging does not count as time."""

    def __init__(self, seconds: float, points: int, judge: Callable[[], float]):
        self.due = [seconds * (i + 1) / points for i in range(points)]
        self.judge, self.images, self.paused, self.began = judge, 0, 0.0, time.perf_counter()
        self.accuracy: list[dict[str, float]] = []

    def count(self, images: int) -> None:
        """Notes a step over so many images; raises _Enough after the last point."""
        self.images += images
        now = time.perf_counter()
        spent = now - self.began - self.paused
        if spent < self.due[len(self.accuracy)]:
            return
        self.accuracy.append({"seconds": spent, "images": self.images, "knn": self.judge()})
        self.paused += time.perf_counter() - now
        if len(self.accuracy) == len(self.due):
            raise _Enough

    def figures(self) -> Figures:
        last = self.accuracy[-1]
        return {"samples_per_second": last["images"] / last["seconds"], "curve": self.accuracy}


class _Counter:
    """Tells the curve about every step of ipse's loop."""

    def __init__(self, curve: Curve, batch: int):
        self.curve, self.batch = curve, batch

    def start(self, steps: int, first: int) -> None: ...
    def record(self, method: nn.Module, record: dict[str, Any]) -> None:
        self.curve.count(self.batch)

    def event(self, step: int, text: str) -> None: ...
    def close(self) -> None: ...


def by_ipse(train: Images, test: Images, batch: int, seconds: float, points: int) -> Figures:
    torch.manual_seed(0)
    method = SimCLR(models.create("small_conv", form.image()), temperature=TEMPERATURE, hidden=HIDDEN, width=WIDTH)
    policy = ImagePolicy(crop=(0.08, 1.0), brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2, blur=0.0)
    curve = Curve(seconds, points, lambda: judge(method.encoder, train, test, OURS, OURS))
    feed, plan = (
        Feed(train, method.sees, ImageViewer(policy, 32), batch, 0),
        Plan(lr=LR, schedule=constant, steps=2000, weight_decay=DECAY, warmup=0),
    )
    with suppress(_Enough):
        fit(Fabric(accelerator="cpu", devices=1), method, feed, plan, observers=[_Counter(curve, batch)])
    return curve.figures()


def by_lightly(train: Images, test: Images, batch: int, seconds: float, points: int, workers: int = 2) -> Figures:
    from lightly.loss import NTXentLoss
    from lightly.models.modules import SimCLRProjectionHead

    torch.manual_seed(0)
    encoder = models.create("small_conv", form.image())
    model = nn.Sequential(encoder, SimCLRProjectionHead(encoder.dim, HIDDEN, WIDTH))
    loader = DataLoader(
        Pairs(torch.from_numpy(train.x), 32, gaussian_blur=0.0),
        batch_size=batch,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    criterion = NTXentLoss(temperature=TEMPERATURE)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=DECAY, fused=True)
    curve = Curve(seconds, points, lambda: judge(encoder, train, test, MEAN, STD))
    with suppress(_Enough):
        while True:
            for x1, x2 in loader:
                loss = criterion(model(x1), model(x2))
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                curve.count(len(x1))
    return curve.figures()


@torch.no_grad()
def judge(encoder: nn.Module, train: Images, test: Images, mean: Tensor, std: Tensor) -> float:
    """kNN accuracy on the test pictures, by the embeddings of pictures that are normalised as in training."""

    def embed(images: Images) -> Tensor:
        parts = torch.split(torch.from_numpy(images.x), 500)
        return torch.cat([encoder((x / 255 - mean[:, None, None]) / std[:, None, None]) for x in parts])

    encoder.eval()
    accuracy = knn_accuracy(embed(train), torch.from_numpy(train.y), embed(test), torch.from_numpy(test.y))
    encoder.train()
    return accuracy


def measure(seconds: float = 60, samples: int = 10_000, batch: int = 256, points: int = 4) -> Figures:
    data = open_data("cifar10")
    assert isinstance(data.train, Images)
    assert isinstance(data.test, Images)
    train, test = (Images(i.x[:n].copy(), i.y[:n]) for i, n in ((data.train, samples), (data.test, max(100, samples // 5))))
    ipse, lightly = by_ipse(train, test, batch, seconds, points), by_lightly(train, test, batch, seconds, points)
    return {"ipse": ipse, "lightly": lightly}


def render(figures: Figures) -> str:
    points = range(len(figures["ipse"]["curve"]))
    head = [f"kNN after {figures['ipse']['curve'][i]['seconds']:.0f} s" for i in points]
    lines = ["| | images per second | " + " | ".join(head) + " |", "|---|---:|" + "---:|" * len(head)]
    lines += [
        f"| {name} | {f['samples_per_second']:,.0f} | " + " | ".join(f"{100 * p['knn']:.1f} %" for p in f["curve"]) + " |"
        for name, f in figures.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(render(measure()) + "\n")
