"""A small U-Net from pictures to pictures, and DnCNN."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Norm = Literal["none", "instance", "batch"]


class UNet(nn.Module):
    """Two 3x3 convolutions at each of `depth` + 1 scales down and up again, with skips between equal scales.

    (B, C, H, W) -> (B, out, H, W); H and W must be multiples of `multiple` = 2^depth. An output pixel sees the input at most
    `radius` pixels away, unless the norm is instance. Ends in a plain 1x1 convolution. The width grows by `growth` at each scale down.

    Ronneberger et al., MICCAI 2015, arXiv:1505.04597 (padded convolutions, nearest-neighbour upsampling)
    """

    def __init__(self, channels: int, out: int, *, width: int = 32, depth: int = 3, growth: int = 2, norm: Norm = "none"):
        super().__init__()
        self.multiple = 1 << depth
        # Two pixels per scale down and up, and what pooling shifts at each scale; in whole multiples, so that tiles stay aligned.
        self.radius = -(-(2 * (2 * self.multiple - 1) + 3 * (self.multiple - 1)) // self.multiple) * self.multiple
        widths = [width * growth**level for level in range(depth + 1)]
        self.down = nn.ModuleList(_two(a, b, norm) for a, b in zip([channels, *widths], widths, strict=False))
        self.up = nn.ModuleList(_two(a + b, b, norm) for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.last = nn.Conv2d(width, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for level, two in enumerate(self.down):
            x = two(nn.functional.avg_pool2d(x, 2) if level else x)
            skips.append(x)
        skips.pop()
        for two in self.up:
            x = two(torch.cat([nn.functional.interpolate(x, scale_factor=2), skips.pop()], dim=1))
        y: Tensor = self.last(x)
        return y


class DnCNN(nn.Module):
    """`depth` 3x3 convolutions; the last one gives the noise, which is subtracted when `residual`.

    (B, C, H, W) -> (B, out, H, W) for any H and W. An output pixel sees the input at most `radius` = depth pixels away, unless the norm is instance.

    Zhang et al., IEEE TIP 2017, arXiv:1608.03981
    """

    def __init__(
        self, channels: int, out: int, *, width: int = 64, depth: int = 17, norm: Norm = "none", residual: bool = True
    ):
        super().__init__()
        self.radius, self.multiple, self.residual = depth, 1, residual
        middle = [_one(width, width, norm) for _ in range(depth - 2)]
        self.body = nn.Sequential(_one(channels, width, "none"), *middle, _conv(width, out))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x - y if self.residual else y


def _conv(channels: int, out: int) -> nn.Conv2d:
    return nn.Conv2d(channels, out, 3, padding=1, padding_mode="replicate")


def _one(channels: int, out: int, norm: Norm) -> nn.Sequential:
    norms = {"none": nn.Identity, "instance": nn.InstanceNorm2d, "batch": nn.BatchNorm2d}
    return nn.Sequential(_conv(channels, out), norms[norm](out), nn.LeakyReLU(0.1))


def _two(channels: int, out: int, norm: Norm) -> nn.Sequential:
    return nn.Sequential(_one(channels, out, norm), _one(out, out, norm))


def from_zero(net: nn.Module, last: nn.Module) -> None:
    """Starts a net whose output is a correction: convolutions by He et al., `last` at 0, so that at first nothing is corrected."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, a=0.1)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    nn.init.zeros_(last.get_parameter("weight"))
