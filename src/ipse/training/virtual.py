"""Steps that are taken back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


@contextmanager
def virtually(module: nn.Module, optimizer: Optimizer) -> Iterator[None]:
    """Takes back in the end what steps inside did to a module's weights and buffers, and to the optimizer's moments of its weights."""
    kept = [(x, x.detach().clone()) for x in module.state_dict(keep_vars=True).values()]
    parameters = list(module.parameters())
    slots = {p: _copied(optimizer.state[p]) for p in parameters if p in optimizer.state}
    rates = [group["lr"] for group in optimizer.param_groups]
    try:
        yield
    finally:
        with torch.no_grad():
            for now, before in kept:
                now.copy_(before)
        for p in parameters:
            if p in slots:
                optimizer.state[p] = slots[p]
            else:
                optimizer.state.pop(p, None)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        optimizer.zero_grad()


def _copied(slots: dict[str, Any]) -> dict[str, Any]:
    return {name: x.clone() if isinstance(x, Tensor) else x for name, x in slots.items()}
