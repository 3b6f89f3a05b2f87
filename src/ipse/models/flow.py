"""Optical flow: a net that learns it, and an estimator that needs no learning."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ipse.models.warp import backward_warp


class FlowNet(nn.Module):
    """A small encoder and decoder: pictures a, b (B, C, H, W) to the flow (B, 2, H, W) with a(p + flow) like b(p), at most `most` pixels.

    Chu et al., ACM TOG 2020, arXiv:1811.09393
    """

    def __init__(self, channels: int, *, width: int = 32, most: float = 24.0):
        super().__init__()
        self.most = most
        down, up = (2 * channels, width, 2 * width, 4 * width), (4 * width, 8 * width, 4 * width, 2 * width)
        self.down = nn.ModuleList(_two(a, b) for a, b in pairwise(down))
        self.up = nn.ModuleList(_two(a, b) for a, b in pairwise(up))
        self.last = nn.Sequential(
            nn.Conv2d(2 * width, width, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(width, 2, 3, padding=1)
        )

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        height, width = a.shape[-2:]
        x = F.pad(torch.cat([a, b], 1), (0, -width % 8, 0, -height % 8), mode="replicate")
        for two in self.down:
            x = F.max_pool2d(two(x), 2)
        for two in self.up:
            x = F.interpolate(two(x), scale_factor=2, mode="bilinear")
        flow: Tensor = self.most * self.last(x).tanh()
        return flow[..., :height, :width]


def lucas_kanade(a: Tensor, b: Tensor, *, levels: int | None = None, rounds: int = 3, window: int = 7) -> Tensor:
    """The flow (B, 2, H, W) with b(p + flow) like a(p), by least squares in a window around each pixel, from coarse to fine.

        flow += (sum of w grad b grad b^T + eps)^-1  sum of w grad b (a - b(p + flow))

    `a`, `b`: (B, C, H, W), of any C. Differentiable; 0 where there is no texture. levels: of halved pictures, as many as keep 12 pixels by default.

    Lucas & Kanade, IJCAI 1981; pyramids: Bouguet 2001
    """
    a, b = a.float().mean(1, keepdim=True), b.float().mean(1, keepdim=True)
    if levels is None:
        levels = max(0, min(4, (min(a.shape[-2:]) // 12).bit_length() - 1))
    pyramid = [(a, b)]
    for _ in range(levels):
        pyramid.append(tuple(F.avg_pool2d(smooth(x, 0.75, 1), 2, ceil_mode=True) for x in pyramid[-1]))  # type: ignore[arg-type]
    flow = torch.zeros(len(a), 2, *pyramid[-1][0].shape[-2:], device=a.device)
    for a, b in reversed(pyramid):
        if flow.shape[-2:] != a.shape[-2:]:
            flow = 2 * F.interpolate(flow, size=a.shape[-2:], mode="bilinear")
        for _ in range(rounds):
            moved = backward_warp(b, flow)
            gx, gy = _gradient(moved, -1), _gradient(moved, -2)
            error = a - moved
            xx, xy, yy, xe, ye = (
                smooth(t, window / 4, window // 2) for t in (gx * gx, gx * gy, gy * gy, gx * error, gy * error)
            )
            xx, yy = xx + 1e-4, yy + 1e-4
            determinant = xx * yy - xy * xy
            step = torch.cat([yy * xe - xy * ye, xx * ye - xy * xe], 1) / determinant
            flow = flow + step.clamp(-1, 1)
    return flow


def _gradient(x: Tensor, dim: int) -> Tensor:
    """Central differences, the border continued."""
    pad = (1, 1, 0, 0) if dim == -1 else (0, 0, 1, 1)
    y = F.pad(x, pad, mode="replicate")
    n = x.shape[dim]
    return (y.narrow(dim, 2, n) - y.narrow(dim, 0, n)) / 2


def smooth(x: Tensor, sigma: float, pad: int) -> Tensor:
    """x (B, C, H, W) blurred by a Gaussian, cut off `pad` pixels away, the border continued."""
    place = torch.arange(-pad, pad + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-(place**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, -1)
    x = F.conv2d(F.pad(x, (0, 0, pad, pad), mode="replicate"), kernel[..., None], groups=x.shape[1])
    return F.conv2d(F.pad(x, (pad, pad, 0, 0), mode="replicate"), kernel[:, :, None], groups=x.shape[1])


def _two(channels: int, out: int) -> nn.Sequential:
    one = nn.Conv2d(channels, out, 3, padding=1), nn.LeakyReLU(0.2)
    return nn.Sequential(*one, nn.Conv2d(out, out, 3, padding=1), nn.LeakyReLU(0.2))
