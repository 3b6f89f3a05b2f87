"""A net that can be told not to look at the pixel whose value it gives."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BlindSpotNet(nn.Module):
    """Two branches of dilated convolutions whose first kernel loses its centre when `blind`; one set of weights for both modes.

    (B, C, H, W) -> (B, out, H, W). The branches begin with a 3x3 and a 5x5 kernel and go on with dilations 2 and 3, one more than the radius that
    the first kernel has: so no later step leads back to the centre, and a blind output pixel does not depend on the input there. It
    sees the input at most `radius` pixels away. Zeros around the edges.

    Jang et al., ICCV 2023, arXiv:2304.09507, after Wu et al., ECCV 2020
    """

    multiple = 1

    def __init__(self, channels: int, out: int, *, width: int = 128, modules: int = 9):
        super().__init__()
        self.radius = 2 + 3 * modules
        self.first = _conv(channels, width, 1)
        self.branches = nn.ModuleList(_Branch(width, radius, modules) for radius in (1, 2))
        self.join = nn.Sequential(
            *(nn.Sequential(_conv(a, b, 1), nn.ReLU()) for a, b in ((2 * width, width), (width, 64), (64, 64))),
            _conv(64, out, 1, gain=1.0),
        )

    def forward(self, x: Tensor, blind: bool = False) -> Tensor:
        x = self.first(x).relu()
        y: Tensor = self.join(torch.cat([branch(x, blind) for branch in self.branches], dim=1))
        return y


class _Branch(nn.Module):
    def __init__(self, width: int, radius: int, modules: int):
        super().__init__()
        self.look = _conv(width, width, 2 * radius + 1)
        self.register_buffer("ring", torch.ones(2 * radius + 1, 2 * radius + 1), persistent=False)
        self.ring: Tensor
        self.ring[radius, radius] = 0
        self.before = nn.Sequential(*(nn.Sequential(_conv(width, width, 1), nn.ReLU()) for _ in range(2)))
        self.residuals = nn.ModuleList(
            nn.Sequential(_conv(width, width, 3, radius + 1), nn.ReLU(), _conv(width, width, 1), nn.ReLU())
            for _ in range(modules)
        )
        self.after = nn.Sequential(_conv(width, width, 1), nn.ReLU())

    def forward(self, x: Tensor, blind: bool) -> Tensor:
        weight = self.look.weight * self.ring if blind else self.look.weight
        x = nn.functional.conv2d(x, weight, self.look.bias, padding=self.look.padding).relu()
        x = self.before(x)
        for residual in self.residuals:
            x = x + residual(x)
        y: Tensor = self.after(x)
        return y


def _conv(channels: int, out: int, size: int, dilation: int = 1, gain: float = 2.0) -> nn.Conv2d:
    """With weights of the variance gain / fan-in, and no bias at the start."""
    conv = nn.Conv2d(channels, out, size, padding=size // 2 * dilation, dilation=dilation)
    nn.init.normal_(conv.weight, std=(gain / (channels * size * size)) ** 0.5)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv
