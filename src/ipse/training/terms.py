"""Gradients of parts of a loss, apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import Parameter

from ipse.distributed import all_mean, world_size

Gradients = dict[Parameter, dict[str, Tensor]]


def backward(terms: Mapping[str, Tensor], parameters: Sequence[Parameter]) -> Gradients:
    """The gradient of each term, averaged over processes, of the parameters that it reaches; their sums become `.grad`.

    The graph is walked once per term, without the hooks by which a data-parallel wrapper averages: they expect one walk per step.
    """
    gradients: Gradients = {}
    graphs = {name: term for name, term in terms.items() if term.requires_grad}
    for name, term in graphs.items():
        last = name == next(reversed(graphs))
        with torch.autocast(term.device.type, enabled=False):
            found = torch.autograd.grad(term, parameters, retain_graph=not last, allow_unused=True)
        for parameter, gradient in zip(parameters, _averaged(found, parameters), strict=True):
            if gradient is not None:
                gradients.setdefault(parameter, {})[name] = gradient
    for parameter, parts in gradients.items():
        parameter.grad = torch.stack(list(parts.values())).sum(0) if len(parts) > 1 else next(iter(parts.values())).clone()
    return gradients


def clip(gradients: Gradients, norm: float, most: float | None) -> None:
    """Scales the parts as `clip_grad_norm_` scales their sum, whose norm was `norm`."""
    if most is not None and norm > most:
        torch._foreach_mul_([part for parts in gradients.values() for part in parts.values()], most / (norm + 1e-6))


@torch.no_grad()
def _averaged(gradients: Sequence[Tensor | None], parameters: Sequence[Parameter]) -> list[Tensor | None]:
    """Means over processes; None where no process has a gradient."""
    if world_size() == 1:
        return list(gradients)
    filled = [torch.zeros_like(p) if g is None else g for g, p in zip(gradients, parameters, strict=True)]
    there = torch.tensor([float(g is not None) for g in gradients], device=filled[0].device)
    flat = all_mean(torch.cat([there, *(g.reshape(-1).float() for g in filled)]))
    there, *parts = flat.split([len(filled), *(g.numel() for g in filled)])
    return [part.view_as(g).to(g.dtype) if some else None for part, g, some in zip(parts, filled, there > 0, strict=True)]
