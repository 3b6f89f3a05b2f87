"""A small vision transformer for pictures of 8 to 64 pixels."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from ipse.data import Form
from ipse.models.encoder import Encoder
from ipse.models.tokens import Block, on_a_grid


class SmallViT(Encoder):
    """Patches, fixed sine-cosine positions, pre-norm transformer blocks, mean of the tokens: (B, C, S, S) to (B, width).

    Dosovitskiy et al., ICLR 2021, arXiv:2010.11929; the mean in place of a class token is that of Zhai et al., 2022,
    arXiv:2106.04560.
    """

    name = "small_vit"
    no_weight_decay = ("position",)
    position: Tensor

    def __init__(self, form: Form, patch: int | None = None, width: int = 192, depth: int = 6, heads: int = 3):
        super().__init__()
        self.form = form
        channels, size = form["channels"], form["size"]
        self.patch = patch or max(1, math.ceil(size / 8))
        self.dim, self.depth, self.heads = width, depth, heads
        self.side = math.ceil(size / self.patch)
        self.patch_embedding = nn.Linear(channels * self.patch**2, width)
        self.register_buffer("position", on_a_grid(self.side, width), persistent=False)
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
        return tokens + (self.position if side == self.side else on_a_grid(side, self.dim, self.side).to(x.device))

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
