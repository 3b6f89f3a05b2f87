"""Optimizers by name, over parameters grouped by how they decay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from timm.optim.lars import Lars
from torch import nn

from ipse.errors import unknown

Group = dict[str, Any]

OPTIMIZERS = ("adamw", "lars", "sgd")
_POSITION_OR_TOKEN = ("pos_embed", "position", "token")


def parameter_groups(module: nn.Module, weight_decay: float) -> list[Group]:
    """Splits the trainable parameters of a module into those that decay and those that must not.

    Not decayed are biases and norms (at most one dimension), position embeddings and tokens (by name), and what a submodule
    names in its attribute or method `no_weight_decay`. An empty group is left out.
    """
    spared = set(_spared(module))
    decay: list[nn.Parameter] = []
    keep: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            leaf = name.rpartition(".")[2]
            special = name in spared or any(word in leaf for word in _POSITION_OR_TOKEN)
            (keep if special or parameter.ndim <= 1 else decay).append(parameter)
    groups = ({"params": decay, "weight_decay": weight_decay}, {"params": keep, "weight_decay": 0.0})
    return [group for group in groups if group["params"]]


def build(name: str, groups: list[Group], lr: float, momentum: float = 0.9) -> torch.optim.Optimizer:
    """The optimizer "adamw", "sgd" or "lars" over parameter groups, which carry their weight decay.

    `momentum` is that of SGD and LARS, and the first beta of AdamW; the second is 0.999. LARS adapts the rate of groups that
    hold weight matrices only: biases and norms follow plain SGD.
    """
    if name == "lars":
        return Lars(
            [{**group, "always_adapt": all(p.ndim > 1 for p in group["params"])} for group in groups], lr=lr, momentum=momentum
        )
    # Fused is one kernel for all parameters: many times faster for many small ones, on the CPU too.
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=lr, betas=(momentum, 0.999), fused=True)
    if name == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=momentum, fused=True)
    raise unknown("optimizer", name, OPTIMIZERS)


def _spared(module: nn.Module) -> Iterator[str]:
    for prefix, part in module.named_modules():
        names = getattr(part, "no_weight_decay", ())
        for name in names() if callable(names) else names:
            yield f"{prefix}.{name}" if prefix else name
