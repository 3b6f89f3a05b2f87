"""Small batches of speech-like clips for the tests of methods."""

from __future__ import annotations

from typing import Any

import torch
from tests.methods.kinds import samples

from ipse import models
from ipse.training import Batch, Feed, Method
from ipse.transforms import viewer


def small(cls: type[Method], encoder: str = "wave_transformer", **settings: Any) -> Any:
    """A method with a small encoder, the same every time."""
    torch.manual_seed(0)
    options = {"wave_transformer": {"conv": 16, "reach": 8}}.get(encoder, {}) | {"width": 32, "depth": 2, "heads": 2}
    return cls(models.create(encoder, samples("audio").form, **options), **settings)


def batch_for(method: Method, step: int = 0, steps: int = 10, n: int = 8) -> Batch:
    """What it sees of n clips of half a second, some of them shorter."""
    data = samples("audio")
    return Feed(data, method.sees, viewer(data.form, samples=data), n, 0).batch(step, steps)
