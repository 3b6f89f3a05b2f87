"""A transformer over the patches of series."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ipse.data import Form
from ipse.errors import UserError
from ipse.models.encoder import Encoder
from ipse.models.norm import TokenNorm
from ipse.models.revin import normalise
from ipse.models.tokens import Block, mean_of, visible

POOLS = ("gap", "cls", "last", "all")


class Encoded(NamedTuple):
    """What a patch transformer makes of a batch, 0 wherever nothing is known.

    places: the patches (B, M, width), channel by channel, and valid: bool (B, M), those of which something is known. whole: one
    vector of each channel (B, G, D), of all channels with `mix` (G = 1), and known: bool (B, G).
    """

    places: Tensor
    valid: Tensor
    whole: Tensor
    known: Tensor


class PatchTransformer(Encoder):
    """Patches of each channel, learned positions, transformer blocks that no other channel enters: (B, C, T) to (B, width).

    Missing values enter as 0; a patch of nothing but missing values is left out of attention, of batch statistics and of means.

    patch: steps, by default 16 or an eighth of a shorter series; stride: by default that of patches that do not overlap.
    hidden: the width of the perceptrons, by default twice the width. norm: "batch", over the patches of all samples, or
    "layer". residual_attention: attention scores are added up over the blocks. revin: each channel of each sample is
    normalised first. mix: a patch holds all channels, and so tokens are no longer of one channel. pool: the embedding is the
    mean over patches and channels ("gap"), or the mean over channels of the last patch ("last"), of all patches one after the
    other ("all", and `dim` is larger), or of a learned patch that is put before those of each channel ("cls", Chang et al.,
    ICDE 2024, arXiv:2312.04142). class_patch: whether there is such a patch; by default if it is pooled.

    Nie et al., ICLR 2023, arXiv:2211.14730. The paper's supervised models have stride 8, dropout 0.2 and residual attention;
    its self-supervised ones patches of 12 steps.
    """

    name = "patch_transformer"
    no_weight_decay = ("position", "class_patch", "class_position")
    class_patch: nn.Parameter | None
    class_position: nn.Parameter | None

    def __init__(
        self,
        form: Form,
        patch: int | None = None,
        stride: int | None = None,
        width: int = 128,
        depth: int = 3,
        heads: int = 16,
        hidden: int | None = None,
        norm: str = "batch",
        dropout: float = 0.0,
        residual_attention: bool = False,
        revin: bool = True,
        mix: bool = False,
        pool: str = "gap",
        class_patch: bool | None = None,
    ):
        super().__init__()
        length, channels = form["length"], form["channels"]
        self.patch = patch or max(1, min(16, math.ceil(length / 8)))
        self.stride = stride or self.patch
        if self.stride > self.patch:
            raise UserError(f"encoder patch_transformer would skip steps: stride {self.stride} exceeds patch {self.patch}")
        if width % heads:
            raise UserError(f"encoder patch_transformer cannot share a width of {width} among {heads} heads")
        if norm not in ("batch", "layer"):
            raise UserError(f"encoder patch_transformer has norm 'batch' or 'layer', not {norm!r}")
        self.form, self.width, self.depth, self.heads = form, width, depth, heads
        self.hidden, self.norm, self.dropout = hidden or 2 * width, norm, dropout
        self.residual_attention, self.revin, self.mix = residual_attention, revin, mix
        self.groups = 1 if mix else channels
        self.count = self._count(length)
        self.patch_embedding = nn.Linear(self.patch * channels // self.groups, width)
        self.position = nn.Parameter(torch.empty(self.count, width).uniform_(-0.02, 0.02))
        self.class_patch = self.class_position = None
        self.drop = nn.Dropout(dropout)
        self.layers = nn.ModuleList(_Block(width, heads, self.hidden, norm, dropout, residual_attention) for _ in range(depth))
        if class_patch or (class_patch is None and pool == "cls"):
            self.add_class_patch()
        self.pool_by(pool)

    def add_class_patch(self) -> None:
        """Puts a learned patch, standard normal at first, before the patches of each channel, if there is none yet."""
        if self.class_patch is None:
            self.class_patch = nn.Parameter(torch.randn(self.patch_embedding.in_features))
            self.class_position = nn.Parameter(torch.empty(self.width).uniform_(-0.02, 0.02))

    def pool_by(self, pool: str) -> None:
        """Decides what the embedding is: one of `POOLS`."""
        if pool not in POOLS:
            raise UserError(f"encoder patch_transformer has pool {', '.join(map(repr, POOLS))}, not {pool!r}")
        if pool == "cls" and self.class_patch is None:
            raise UserError("encoder patch_transformer pools 'cls' only with class_patch=True")
        self.pool, self.dim = pool, self.width * (self.count if pool == "all" else 1)

    def patches(self, x: Tensor) -> Tensor:
        """The normalised values of each patch: (B, C, T) to (B, C * N, P), channel by channel, NaN where missing.

        A patch starts at every stride and the last ones are filled up with NaN. With `mix`: (B, N, C * P).
        """
        return self.cut(normalise(x)[0] if self.revin else x)

    def cut(self, x: Tensor) -> Tensor:
        """`patches` of a series as it is."""
        filled = (self._count(x.shape[-1]) - 1) * self.stride + self.patch
        x = F.pad(x, (0, filled - x.shape[-1]), value=torch.nan).unfold(2, self.patch, self.stride)
        return x.transpose(1, 2).flatten(2) if self.mix else x.flatten(1, 2)

    def embed(self, patches: Tensor, channels: int | None = None) -> Tensor:
        """Patches (B, C * N, P) to tokens (B, C * N, width), position included; NaN where nothing is known of a patch.

        channels: how many channels the patches are of; by default as many as there are of the form's length.
        """
        tokens, valid = self._embed(patches, channels)
        return tokens.masked_fill(~valid[..., None], torch.nan)

    def tokens(self, x: Tensor) -> Tensor:
        return self.embed(self.patches(x), x.shape[1])

    def blocks(self, tokens: Tensor, channels: int | None = None) -> Tensor:
        """The transformer: (B, M, width) to the same; tokens that are NaN are left out and come back as 0.

        channels: how many channels the tokens are of, in order, each with equally many. By default as many as the form has if
        no token was left out or added; else 1, and all tokens of a sample see each other. A class patch is added here.
        """
        usual = self.groups if tokens.shape[1] == self.groups * self.count else 1
        valid = ~tokens.isnan().any(dim=-1)
        return self._run(tokens.masked_fill(~valid[..., None], 0), valid, channels or usual)[0]

    def dense(self, x: Tensor) -> Tensor:
        return self.encoded(x).places

    def forward(self, x: Tensor) -> Tensor:
        places, valid, whole, known = self.encoded(x)
        return mean_of(places, valid) if self.pool == "gap" else mean_of(whole, known)

    def encoded(self, x: Tensor) -> Encoded:
        """The patches of series (B, C, T), and each channel as a whole in the way of `pool`."""
        channels = 1 if self.mix else x.shape[1]
        tokens, valid = self._embed(self.patches(x), channels)
        places, first = self._run(tokens, valid, channels)
        h, there = places.unflatten(1, (channels, -1)), valid.unflatten(1, (channels, -1))
        return Encoded(places, valid, self._whole(h, there, first), there.any(dim=2))

    def options(self) -> dict[str, Any]:
        return {
            "patch": self.patch,
            "stride": self.stride,
            "width": self.width,
            "depth": self.depth,
            "heads": self.heads,
            "hidden": self.hidden,
            "norm": self.norm,
            "dropout": self.dropout,
            "residual_attention": self.residual_attention,
            "revin": self.revin,
            "mix": self.mix,
            "pool": self.pool,
            "class_patch": self.class_patch is not None,
        }

    def _count(self, length: int) -> int:
        return math.ceil(length / self.stride)

    def _whole(self, h: Tensor, valid: Tensor, first: Tensor | None) -> Tensor:
        """Each channel as one vector (B, G, D): h (B, G, N, width), valid bool (B, G, N), first: the class patch's (B, G, width)."""
        if self.pool == "cls":
            assert first is not None
            return first
        if self.pool == "all":
            return F.pad(h, (0, 0, 0, self.count - h.shape[2])).flatten(2)
        if self.pool == "last":
            last = (valid * torch.arange(1, h.shape[2] + 1, device=h.device)).argmax(dim=2)
            return h.gather(2, last[..., None, None].expand(-1, -1, 1, h.shape[3]))[:, :, 0]
        return mean_of(h, valid)

    def _embed(self, patches: Tensor, channels: int | None = None) -> tuple[Tensor, Tensor]:
        """Tokens, any at places where nothing is known, and where something is: (B, M, width) and bool (B, M)."""
        known = ~patches.isnan()
        channels = 1 if self.mix else channels or max(1, patches.shape[1] // self.count)
        n = patches.shape[1] // channels
        if n > self.count:
            raise UserError(
                f"encoder patch_transformer was made for {self.count} patches of {self.patch} steps, given {n}: "
                f"cut the series to {self.form['length']} steps"
            )
        tokens = self.patch_embedding(torch.where(known, patches, 0))
        return tokens + self.position[:n].repeat(channels, 1), known.any(dim=-1)

    def _run(self, tokens: Tensor, valid: Tensor, channels: int) -> tuple[Tensor, Tensor | None]:
        """The tokens behind the transformer, and the class patch of each channel (B, channels, width), if there is one."""
        b, m, width = tokens.shape
        if m % channels:
            raise UserError(f"encoder patch_transformer cannot share {m} tokens among {channels} channels")
        h, seen = self._led(tokens.reshape(b * channels, -1, width), valid.reshape(b * channels, -1))
        h, scores = self.drop(h), None
        for layer in self.layers:
            h, scores = layer(h, seen, scores)
        h = h.masked_fill(~seen[..., None], 0)
        if self.class_patch is None:
            return h.reshape(b, m, width), None
        return h[:, 1:].reshape(b, m, width), h[:, 0].reshape(b, channels, width)

    def _led(self, tokens: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, width) behind the class patch, if there is one, which is valid where any of them is."""
        if self.class_patch is None:
            return tokens, valid
        first = (self.patch_embedding(self.class_patch) + self.class_position).to(tokens.dtype)
        tokens = torch.cat([first.expand(len(tokens), 1, -1), tokens], dim=1)
        return tokens, torch.cat([valid.any(dim=1, keepdim=True), valid], dim=1)


class _Block(Block):
    """Attention and a perceptron, each added to what it is given and then normalised, over valid tokens: (B, N, width) to the same.

    With `residual` the attention scores of the block before are added to its own, and it gives the sum of both.
    """

    def __init__(self, width: int, heads: int, hidden: int, norm: str, dropout: float, residual: bool):
        super().__init__(width, heads, hidden)
        kind = TokenNorm if norm == "batch" else _LayerNorm
        self.norm1, self.norm2 = kind(width), kind(width)  # type: ignore[assignment]
        self.residual, self.drop = residual, nn.Dropout(dropout)

    def forward(self, x: Tensor, valid: Tensor, before: Tensor | None = None) -> tuple[Tensor, Tensor | None]:  # type: ignore[override]
        h, scores = self.scored(x, valid, before) if self.residual else (self.attention(x, valid), None)
        x = self.norm1(x + self.drop(h), valid)
        return self.norm2(x + self.drop(self.perceptron(x)), valid), scores

    def scored(self, x: Tensor, valid: Tensor, before: Tensor | None) -> tuple[Tensor, Tensor]:
        """Attention (B, N, width) and its scores (B, heads, N, N), to which those of the block before are added."""
        q, k, v = self.parts(x)
        scores = q @ k.mT * q.shape[3] ** -0.5 + (0 if before is None else before)
        weights = scores.masked_fill(~visible(valid)[:, None, None], -torch.inf).softmax(dim=-1)
        return self.joined(weights.to(v.dtype) @ v), scores

    def perceptron(self, h: Tensor) -> Tensor:
        out: Tensor = self.down(self.drop(F.gelu(self.up(h))))
        return out


class _LayerNorm(nn.LayerNorm):
    def forward(self, x: Tensor, valid: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x)
