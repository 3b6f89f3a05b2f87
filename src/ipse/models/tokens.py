"""Tokens of any kind of data: where they stand, blocks over them, and some or the mean of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ipse.data import Form


class Block(nn.Module):
    """Attention and a perceptron, each behind a layer normalisation and added to what it is given: (B, N, width) to the same.

    valid: bool (B, N), which tokens attention may see; by default all.  hidden: the width of the perceptron, by default 4 times
    the block's.
    """

    def __init__(self, width: int, heads: int, hidden: int | None = None):
        super().__init__()
        hidden = hidden or 4 * width
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        x = x + self.attention(self.norm1(x), valid)
        return x + self.perceptron(self.norm2(x))

    def attention(self, h: Tensor, valid: Tensor | None = None) -> Tensor:
        """What each token gathers from those that are valid: normalised h (B, N, width) to the same."""
        mask = None if valid is None else visible(valid)[:, None, None]
        return self.joined(F.scaled_dot_product_attention(*self.parts(h), attn_mask=mask))

    def perceptron(self, h: Tensor) -> Tensor:
        """What each token makes of itself: normalised h (B, N, width) to the same."""
        out: Tensor = self.down(F.gelu(self.up(h)))
        return out

    def parts(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of each head: (B, N, width) to (B, heads, N, width / heads) each."""
        q, k, v = self.qkv(h).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return q, k, v

    def joined(self, h: Tensor) -> Tensor:
        """The heads side by side, mixed: (B, heads, N, width / heads) to (B, N, width)."""
        out: Tensor = self.out(h.transpose(1, 2).flatten(2))
        return out


def visible(valid: Tensor) -> Tensor:
    """Which tokens attention sees of those that are valid, bool (B, N): all where none is, as a softmax over nothing is NaN."""
    return valid | ~valid.any(dim=1, keepdim=True)


def tokens_at(tokens: Tensor, places: Tensor) -> Tensor:
    """The tokens that stand at these places: (B, N, D) and int64 (B, M) to (B, M, D).

    >>> tokens_at(torch.tensor([[[1.0], [2.0], [3.0]]]), torch.tensor([[2, 0]])).tolist()
    [[[3.0], [1.0]]]
    """
    return tokens.gather(1, places[..., None].expand(-1, -1, tokens.shape[2]))


def put_at(tokens: Tensor, rows: Tensor, places: Tensor, there: Tensor) -> Tensor:
    """Tokens (B, N, D) with rows (B, M, D) in these places, int64 (B, M), but only those that are `there`, bool (B, M).

    >>> tokens, rows = torch.zeros(1, 3, 1), torch.tensor([[[5.0], [7.0]]])
    >>> put_at(tokens, rows, torch.tensor([[2, 0]]), torch.tensor([[True, False]])).tolist()
    [[[0.0], [0.0], [5.0]]]
    """
    tokens, where = tokens.to(rows.dtype), places[..., None].expand_as(rows)
    return tokens.scatter(1, where, torch.where(there[..., None], rows, tokens.gather(1, where)))


def mean_of(tokens: Tensor, valid: Tensor) -> Tensor:
    """The mean of the valid tokens, 0 of none: (..., N, D) and bool (..., N) to (..., D).

    >>> mean_of(torch.tensor([[1.0], [3.0], [9.0]]), torch.tensor([True, True, False]))
    tensor([2.])
    """
    return (tokens * valid[..., None]).sum(dim=-2) / valid.sum(dim=-1, keepdim=True).clamp_min(1)


def positions(form: Form, n: int, width: int) -> Tensor:
    """Fixed positions (n, width) of the tokens of samples of a form: on a grid for pictures, else on a line."""
    return on_a_grid(math.isqrt(n), width) if form["modality"] == "image" else on_a_line(n, width)


def on_a_line(n: int, width: int) -> Tensor:
    """Fixed positions (n, width): sines and cosines of wavelengths from 2 pi to 10,000 times as many tokens."""
    half = width // 2
    waves = _waves(torch.arange(n), torch.arange(half) / max(1, half - 1))
    return F.pad(waves, (0, width - 2 * half))


def on_a_grid(side: int, width: int, reach: int | None = None) -> Tensor:
    """Fixed positions (side * side, width) of a square grid: a quarter of the width each for the sine and cosine of x and of y.

    The grid spans as much as one of `reach` places a side would, by default its own.
    """
    quarter = width // 4
    place = (torch.arange(side) + 0.5) * ((reach or side) / side) - 0.5
    waves = _waves(place, torch.arange(quarter) / quarter)
    rows = waves[:, None, :].expand(side, side, -1)
    columns = waves[None, :, :].expand(side, side, -1)
    return F.pad(torch.cat([columns, rows], dim=2).reshape(side * side, -1), (0, width - 4 * quarter))


def _waves(place: Tensor, magnitude: Tensor) -> Tensor:
    """Sines, then cosines, of places (n,), at 10,000 to the power of minus each magnitude (m,) radians: (n, 2 m)."""
    angle = place[:, None] * 10000.0**-magnitude
    return torch.cat([angle.sin(), angle.cos()], dim=1)
