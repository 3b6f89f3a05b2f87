"""A small vision transformer for pictures of 8 to 64 pixels."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ipse.data import Form
from ipse.models.encoder import Encoder


class SmallViT(Encoder):
    """Patches, fixed sine-cosine positions, pre-norm transformer blocks, mean of the tokens: (B, C, S, S) to (B, width).

    Dosovitskiy et al., ICLR 2021, arXiv:2010.11929; the mean in place of a class token is that of Zhai et al., 2022,
    arXiv:2106.04560.
    """

    no_weight_decay = ("position",)
    position: Tensor

    def __init__(self, form: Form, patch: int | None = None, width: int = 192, depth: int = 6, heads: int = 3):
        super().__init__()
        self.name, self.form = "small_vit", form
        channels, size = form["channels"], form["size"]
        self.patch = patch or max(1, math.ceil(size / 8))
        self.dim, self.depth, self.heads = width, depth, heads
        self.side = math.ceil(size / self.patch)
        self.patch_embedding = nn.Linear(channels * self.patch**2, width)
        self.register_buffer("position", sine_cosine(self.side, width), persistent=False)
        self.layers = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def patches(self, x: Tensor) -> Tensor:
        """The pixels of each patch: (B, C, S, S) to (B, N, C * patch * patch); grey fills up the last ones."""
        b, c, p, n = len(x), x.shape[1], self.patch, math.ceil(x.shape[-1] / self.patch)
        margin = n * p - x.shape[-1]
        if margin:
            x = F.pad(x, (0, margin, 0, margin))
        return x.reshape(b, c, n, p, n, p).permute(0, 2, 4, 1, 3, 5).reshape(b, n * n, c * p * p)

    def tokens(self, x: Tensor) -> Tensor:
        tokens: Tensor = self.patch_embedding(self.patches(x))
        side = math.isqrt(tokens.shape[1])
        return tokens + (self.position if side == self.side else sine_cosine(side, self.dim, self.side).to(x.device))

    def blocks(self, tokens: Tensor) -> Tensor:
        for layer in self.layers:
            tokens = layer(tokens)
        out: Tensor = self.norm(tokens)
        return out

    def dense(self, x: Tensor) -> Tensor:
        return self.blocks(self.tokens(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(x).mean(1)

    def options(self) -> dict[str, Any]:
        return super().options() | {"patch": self.patch, "width": self.dim, "depth": self.depth, "heads": self.heads}


class Block(nn.Module):
    """Attention and a four times wider perceptron, each added to its normalised input's sum: (B, N, width) to the same."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        b, n, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, d))
        out: Tensor = x + self.down(F.gelu(self.up(self.norm2(x))))
        return out


def positions(form: Form, n: int, width: int) -> Tensor:
    """Fixed positions (n, width) of the tokens of samples of a form: on a grid for pictures, else on a line."""
    if form["modality"] == "image":
        return sine_cosine(math.isqrt(n), width)
    half = width // 2
    angle = torch.arange(n)[:, None] * 10000.0 ** (-torch.arange(half) / half)
    return F.pad(torch.cat([angle.sin(), angle.cos()], dim=1), (0, width - 2 * half))


def sine_cosine(side: int, width: int, reach: int | None = None) -> Tensor:
    """Fixed positions (side * side, width) of a square grid: a quarter of the width each for the sine and cosine of x and of y.

    The grid spans as much as one of `reach` places a side would, by default its own.
    """
    quarter = width // 4
    frequency = 10000.0 ** (-torch.arange(quarter) / quarter)
    place = (torch.arange(side) + 0.5) * ((reach or side) / side) - 0.5
    angle = place[:, None] * frequency
    waves = torch.cat([angle.sin(), angle.cos()], dim=1)
    rows = waves[:, None, :].expand(side, side, -1)
    columns = waves[None, :, :].expand(side, side, -1)
    return F.pad(torch.cat([columns, rows], dim=2).reshape(side * side, -1), (0, width - 4 * quarter))
