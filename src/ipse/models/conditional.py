"""Transformer blocks that are told who speaks."""

from __future__ import annotations

from torch import Tensor, nn

from ipse.models.norm import layer_norm
from ipse.models.tokens import Block


class ConditionalNorm(nn.Module):
    """Layer normalisation whose gain and bias depend on the sample: y = (1 + A s) norm(x) + B s.

    x: (B, N, width); s: (B, condition). Each frame is normalised by itself. A and B begin at 0.

    Qian et al., ICML 2022, arXiv:2204.09224

    >>> import torch
    >>> x = torch.randn(2, 3, 8)
    >>> torch.allclose(ConditionalNorm(8, 4)(x, torch.randn(2, 4)), nn.LayerNorm(8)(x))
    True
    """

    def __init__(self, width: int, condition: int):
        super().__init__()
        self.gain, self.bias = nn.Linear(condition, width, bias=False), nn.Linear(condition, width, bias=False)
        nn.init.zeros_(self.gain.weight)
        nn.init.zeros_(self.bias.weight)

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        out: Tensor = layer_norm(x) * (1 + self.gain(s)[:, None]) + self.bias(s)[:, None]
        return out


class ConditionalBlock(Block):
    """Attention among valid frames and a perceptron, each behind a `ConditionalNorm`: (B, N, width) to the same."""

    def __init__(self, width: int, heads: int, condition: int):
        super().__init__(width, heads)
        self.norm1, self.norm2 = ConditionalNorm(width, condition), ConditionalNorm(width, condition)  # type: ignore[assignment]

    def forward(self, x: Tensor, s: Tensor, valid: Tensor) -> Tensor:  # type: ignore[override]
        x = x + self.attention(self.norm1(x, s), valid)
        return x + self.perceptron(self.norm2(x, s))
