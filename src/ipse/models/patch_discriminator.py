"""Discriminators that judge every part of a picture by itself."""

from __future__ import annotations

from torch import Tensor, nn


class PatchDiscriminator(nn.Module):
    """Convolutions 4x4, `layers` of them with stride 2, then two more: (B, C, H, W) to a map of scores (B, 1, h, w), without norms.

    Isola et al., CVPR 2017, arXiv:1611.07004; without norms as in EnlightenGAN
    """

    def __init__(self, channels: int, *, width: int = 64, layers: int = 3):
        super().__init__()
        widths = [min(2**i, 8) * width for i in range(layers + 1)]
        body: list[nn.Module] = []
        for i, (a, b) in enumerate(zip([channels, *widths], widths, strict=False)):
            body += [nn.Conv2d(a, b, 4, 2 if i < layers else 1, 2), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*body, nn.Conv2d(widths[-1], 1, 4, 1, 2))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return y
