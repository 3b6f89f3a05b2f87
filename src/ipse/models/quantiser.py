"""Discrete codes that gradients can pass."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ipse.errors import UserError


class Quantised(NamedTuple):
    """What a quantiser makes of frames (...)."""

    x: Tensor  # (..., dim): the chosen entries, one per group, side by side
    probabilities: Tensor  # (..., groups, entries) float32, without noise: how likely each entry is
    indices: Tensor  # int64 (..., groups): which entry was chosen


class GumbelQuantiser(nn.Module):
    """Replaces each frame by one of `entries` learned vectors in each of `groups` codebooks, chosen by Gumbel-softmax.

        y = softmax((A x + g) / temperature),    g = -log(-log u),    z = onehot(argmax y) + y - stop_grad(y)

    z selects the entry, and its gradient is that of y. Without noise, and always in evaluation, g = 0: the likeliest entry.
    With one group it is the quantiser of VQ-APC. A high temperature (2, falling to 0.5) keeps entries from dying.

    Jang et al., ICLR 2017, arXiv:1611.01144; Baevski et al., NeurIPS 2020, arXiv:2006.11477

    >>> quantiser = GumbelQuantiser(8, groups=2, entries=5, dim=6)
    >>> codes = quantiser(torch.randn(3, 7, 8), torch.rand(3, 7, 2, 5), temperature=2.0)
    >>> codes.x.shape, codes.indices.shape
    (torch.Size([3, 7, 6]), torch.Size([3, 7, 2]))
    """

    def __init__(self, width: int, groups: int = 2, entries: int = 320, dim: int = 256):
        super().__init__()
        if dim % groups:
            raise UserError(
                f"the width of a quantiser's codes must be a multiple of its groups: given dim {dim}, groups {groups}"
            )
        self.logits = nn.Linear(width, groups * entries)
        nn.init.normal_(self.logits.weight)
        nn.init.zeros_(self.logits.bias)
        self.codebook = nn.Parameter(torch.rand(groups, entries, dim // groups))

    def forward(self, x: Tensor, u: Tensor | None = None, temperature: float = 1.0) -> Quantised:
        """`x`: (..., width); `u`: uniforms in [0, 1), (..., groups, entries), the noise of training; None for no noise."""
        logits = self.logits(x).float().unflatten(-1, self.codebook.shape[:2])
        noisy = logits if u is None or not self.training else logits - torch.log(-torch.log(u.clamp_min(_TINY)))
        y = torch.softmax(noisy / temperature, dim=-1)
        indices = noisy.argmax(dim=-1)
        chosen = torch.zeros_like(y).scatter(-1, indices[..., None], 1.0)
        # In this order the sum is one-hot to the bit, so that frames of one code are equal.
        z = chosen + (y - y.detach())
        codes = torch.einsum("...gv,gvd->...gd", z.to(self.codebook.dtype), self.codebook)
        return Quantised(codes.flatten(-2), torch.softmax(logits, dim=-1), indices)


_TINY = 2.0**-25  # below the smallest uniform that is not 0, whose logarithm is finite
