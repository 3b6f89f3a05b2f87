"""Heads between an encoder and a loss."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from ipse.models.norm import BatchNorm


def mlp(*widths: int, norm: bool = True, final_norm: bool = False, final_bias: bool = False) -> nn.Sequential:
    """Linear layers of these widths with batch normalisation and ReLU between them: (B, widths[0]) to (B, widths[-1]).

    final_norm adds a batch normalisation without parameters at the end (SimCLR, MoCo v3).
    """
    layers: list[nn.Module] = []
    for n, m in pairwise(widths[:-1]):
        layers += [nn.Linear(n, m, bias=not norm), *([BatchNorm(m)] if norm else []), nn.ReLU(inplace=True)]
    layers.append(nn.Linear(widths[-2], widths[-1], bias=final_bias))
    if final_norm:
        layers.append(BatchNorm(widths[-1], affine=False))
    return nn.Sequential(*layers)


def prototypes(dim: int, n: int) -> nn.Linear:
    """n prototypes with unit norm in a space of `dim`: (B, dim) to (B, n) scores."""
    linear = nn.Linear(dim, n, bias=False)
    norms: nn.Parameter = nn.utils.parametrizations.weight_norm(linear).parametrizations.weight.original0
    nn.init.ones_(norms.requires_grad_(False))
    return linear
