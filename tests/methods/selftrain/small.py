"""Small classifiers and data for methods of self-training."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from ipse.data import Samples, open_data
from ipse.models import Classifier, create
from ipse.optim.schedules import constant
from ipse.training import Batch, Feed, Plan, Taught, fit
from ipse.transforms import View, viewer

K, N = 3, 60


def rows(labels: int = 12, seed: int = 0) -> Samples:
    """Three clouds in six dimensions; so many samples have labels, as many of each class."""
    chance = np.random.default_rng(seed)
    y = np.arange(N) % K
    x = chance.normal(size=(N, 6)) + 5 * np.eye(6)[y]
    data = open_data((x.astype(np.float32), y), modality="table").train
    return data.relabelled(np.where(np.arange(N) < labels, y, -1))


def classifier(data: Samples, seed: int = 0) -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Classifier(create("table_mlp", data.form, width=16, depth=1), [str(i) for i in range(K)])


def built(kind: type[Taught], data: Samples, **settings: Any) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        method = kind(classifier(data), **settings)
    method.prepare(data)
    return method


def feed_for(method: Taught, data: Samples, batch: int = 16) -> Feed:
    return Feed(data, method.sees, viewer(data.form, samples=data), batch, 0)


def learned(method: Taught, data: Samples, steps: int, batch: int = 16, **words: Any) -> Taught:
    feed = feed_for(method, data, batch)
    fit(Fabric(accelerator="cpu", devices=1), method, feed, Plan(**{"lr": 1e-2, "schedule": constant, "steps": steps} | words))
    return method


class Linear(nn.Module):
    """Stands for a classifier: scores are a matrix times x, without noise, norm or dropout."""

    def __init__(self, k: int = 2, dim: int = 3):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(k, dim, generator=torch.Generator().manual_seed(0)) / 2)
        self.form, self.classes = {"modality": "table", "columns": [{}] * dim}, tuple(map(str, range(k)))

    @property
    def encoder(self) -> nn.Module:
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight.T


def batch_of(x: torch.Tensor, y: torch.Tensor, step: int = 5, steps: int = 100) -> Batch:
    """The same look twice, weak and strong."""
    place = torch.arange(len(x))
    return Batch([View(x), View(x)], place, place, 0, step, steps, y)
