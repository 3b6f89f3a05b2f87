"""Dilated convolutions for series."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ipse.data import Form
from ipse.errors import UserError
from ipse.models.encoder import Encoder


class DilatedConv(Encoder):
    """Residual convolutions whose dilation doubles from block to block, and the maximum over time: (B, C, T) to (B, dim).

    A step enters as the values of its channels, 0 where they are missing, and which of them are known; a step of which nothing
    is known enters as zeros. What lies behind the last known step is padding and changes nothing. hidden: the width of the
    blocks (the paper has dim 320). depth: how many blocks there are, by default as many as see the whole length from one step.
    causal: a step sees only those before it.

    Yue et al., AAAI 2022, arXiv:2106.10466
    """

    name = "dilated_conv"

    def __init__(
        self,
        form: Form,
        dim: int = 128,
        hidden: int = 64,
        depth: int | None = None,
        kernel: int = 3,
        causal: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        if kernel < 2:
            raise UserError(f"encoder dilated_conv needs a kernel of at least 2 steps, not {kernel}")
        self.form, self.dim = form, dim
        self.hidden, self.kernel, self.causal, self.dropout = hidden, kernel, causal, dropout
        reach = (form["length"] - 1) / (2 * (kernel - 1))
        self.depth = depth or max(1, math.ceil(math.log2(reach + 1)))
        self.input = nn.Linear(2 * form["channels"], hidden)
        widths = [hidden] * self.depth + [dim]
        self.layers = nn.ModuleList(
            _Block(before, width, kernel, 2**i, causal) for i, (before, width) in enumerate(pairwise(widths))
        )
        self.drop = nn.Dropout(dropout)

    @property
    def receptive_field(self) -> int:
        """How many steps one step of `dense` depends on."""
        return int(1 + 2 * (self.kernel - 1) * (2**self.depth - 1))

    def dense(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Each step: (B, T, dim), 0 at padding. `hidden`: bool (B, T), steps that enter as zeros without being padding."""
        known = ~x.isnan()
        inside = _inside(known.any(dim=1))
        seen = known.any(dim=1) if hidden is None else known.any(dim=1) & ~hidden
        h = self.input(torch.cat([torch.where(known, x, 0), known.to(x.dtype)], dim=1).transpose(1, 2))
        h = (h * seen[..., None]).transpose(1, 2)
        for layer in self.layers:
            h = layer(h, inside[:, None])
        out: Tensor = self.drop(h * inside[:, None]).transpose(1, 2)
        return out

    def forward(self, x: Tensor) -> Tensor:
        inside = _inside(~x.isnan().all(dim=1))
        pooled = self.dense(x).masked_fill(~inside[..., None], -torch.inf).amax(dim=1)
        return pooled.masked_fill(~inside.any(dim=1)[:, None], 0)

    def options(self) -> dict[str, Any]:
        return {
            "dim": self.dim,
            "hidden": self.hidden,
            "depth": self.depth,
            "kernel": self.kernel,
            "causal": self.causal,
            "dropout": self.dropout,
        }


class _Block(nn.Module):
    """x + conv(GELU(conv(GELU(x)))), with a linear map of x where the width changes; padding stays out of the convolutions."""

    def __init__(self, before: int, width: int, kernel: int, dilation: int, causal: bool):
        super().__init__()
        self.first = nn.Conv1d(before, width, kernel, dilation=dilation)
        self.second = nn.Conv1d(width, width, kernel, dilation=dilation)
        self.shortcut = nn.Identity() if before == width else nn.Conv1d(before, width, 1)
        margin = (kernel - 1) * dilation
        self.margins = (margin, 0) if causal else (margin // 2, margin - margin // 2)

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        h = self.first(F.pad(F.gelu(x) * inside, self.margins))
        h = self.second(F.pad(F.gelu(h) * inside, self.margins))
        out: Tensor = self.shortcut(x) + h
        return out


def _inside(known: Tensor) -> Tensor:
    """Steps up to the last known one: bool (B, T) to the same."""
    return known.flip(1).cumsum(dim=1).flip(1) > 0
