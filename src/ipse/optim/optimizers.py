"""Optimizers by name, over parameters grouped by how they decay.

An optimizer that treats parts of the loss differently names them in its attribute `terms`, for example ("task", "distillation").
Before each `step()` the training loop then fills its attribute `gradients`, a dictionary that is empty at first:

    gradients[parameter][term]    the gradient of one term, a tensor of the parameter's shape

A parameter holds the terms that reach it and no others; one that no term reaches is not there. The terms are those of `Step.terms`,
with their weights in them, which add up to the loss, as `Method.terms` promises; regularizers count with the first. So the
gradients of a parameter add up to that of the whole loss, which is its `.grad` as always. They are averaged over processes, and
clipping has scaled them like the whole. Methods with an `update` of their own leave `gradients` empty, as does whoever uses the
optimizer without the loop: it then takes `.grad` as that of one single loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from timm.optim.lars import Lars
from torch import nn

from ipse.errors import unknown
from ipse.optim.dot import DOT

Group = dict[str, Any]

OPTIMIZERS = ("adamw", "dot", "lars", "sgd")
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
    """The optimizer "adamw", "sgd", "lars" or "dot" over parameter groups, which carry their weight decay.

    `momentum` is that of SGD, LARS and DOT, and the first beta of AdamW; the second is 0.999. LARS adapts the rate of groups that
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
    if name == "dot":
        return DOT(groups, lr=lr, momentum=momentum)
    raise unknown("optimizer", name, OPTIMIZERS)


def wanted_terms(name: str) -> tuple[str, ...]:
    """The terms whose gradients an optimizer wants apart; () where the whole gradient will do."""
    return DOT.terms if name == "dot" else ()


def _spared(module: nn.Module) -> Iterator[str]:
    for prefix, part in module.named_modules():
        names = getattr(part, "no_weight_decay", ())
        for name in names() if callable(names) else names:
            yield f"{prefix}.{name}" if prefix else name
