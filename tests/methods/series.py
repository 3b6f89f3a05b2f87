"""Small batches of series for the tests of methods."""

from __future__ import annotations

import torch
from torch import Tensor

from ipse.training import Batch, Method
from ipse.transforms import View

FORM = {"modality": "series", "channels": 3, "length": 64}


def series(n: int = 6) -> Tensor:
    """Walks in three channels."""
    return torch.randn(n, 3, 64, generator=torch.Generator().manual_seed(0)).cumsum(2)


def gappy(n: int = 6) -> Tensor:
    """The same, without a channel, without an end, without anything, and with a gap."""
    x = series(n)
    x[0, 1] = x[1, :, 30:] = x[2] = x[3, 0, 5:25] = torch.nan
    return x


def batch(x: Tensor, seed: int = 0) -> Batch:
    index = torch.arange(len(x))
    return Batch([View(x)], index, index, seed)


def learns(method: Method, x: Tensor) -> None:
    """A finite loss and embedding, and a finite gradient of every parameter, in both precisions."""
    for kind in (torch.float32, torch.bfloat16):
        with torch.autocast("cpu", kind, enabled=kind != torch.float32):
            step = method.loss(batch(x))
        method.zero_grad()
        step.loss.backward()
        assert step.loss.isfinite()
        assert all(z.isfinite().all() for z in step.z)
        assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in method.parameters())
