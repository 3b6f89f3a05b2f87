"""Small batches of speech-like clips for the tests of methods."""

from __future__ import annotations

from typing import Any

import torch
from tests.methods.kinds import ENCODERS, samples

from ipse import models
from ipse.methods.pretrain.hubert import HuBERT
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


def feed(batch: int = 8) -> Feed:
    """The same clips as they are."""
    data = samples("audio")
    return Feed(data, HuBERT.sees, viewer(data.form), batch, 0)


def of_units(cls: type[HuBERT], labelled: bool = True, **settings: Any) -> Any:
    """A small HuBERT or a method made of it, at the beginning of its first round."""
    torch.manual_seed(0)
    data = samples("audio")
    made = cls(
        models.create("mel_transformer", data.form, **ENCODERS["mel_transformer"]), clusters=(8, 12), width=16, **settings
    )
    made.prepare(data)
    if labelled:
        made.before_round(0, feed())
    return made
