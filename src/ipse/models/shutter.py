"""Frames at chosen times from two pictures of a rolling shutter read in opposite directions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ipse.models.unet import UNet
from ipse.models.warp import backward_warp


def encodings(rows: Tensor, times: Tensor) -> Tensor:
    """How long after each wished time a row is read, of both pictures: (B, 2, N, h, 1), from -1 to 1.

        e(y) = T(y) - time for the picture read from the top,   1 - T(y) - time for the one from the bottom

    `rows`: T(y) from the top, (B, h). `times`: (B, N) in [0, 1].
    """
    both = torch.stack([rows, 1 - rows], 1)
    return (both[:, :, None] - times[:, None, :, None])[..., None]


class GlobalShutter(nn.Module):
    """Velocities, times how long each row is away from the wished time, warp both pictures; masks and residuals fuse them.

    The flow net goes from coarse to fine, four times at 1/8, 1/4, 1/2 and full size, each seeing what the last one's flows make; flows are
    at half size inside. Fusion: m warp(top) + (1 - m) warp(bottom) + r, m = sigmoid, r = 2 sigmoid - 1, clamped to [0, 1].

    Pictures (B, 2, C, H, W) and encodings (B, 2, N, H, W) to N frames (B, N, C, H, W) and the flows of the four scales, (B, 4 N, H / 2, W / 2) each.
    H and W must be multiples of 32.

    Shang et al., ICCV 2023, arXiv:2305.19862; scales: Huang et al., ECCV 2022, arXiv:2011.06294
    """

    def __init__(self, channels: int, frames: int = 3, *, widths: tuple[int, ...] = (192, 128, 96, 48), hidden: int = 32):
        super().__init__()
        self.frames, flows, pictures = frames, 4 * frames, 2 * frames * channels
        first, later = 2 * channels + 2 * frames, pictures + 2 * frames + flows
        scales = (8, 4, 2, 1)
        self.velocities = nn.ModuleList(
            _Velocity(later if i else first, flows, width, scale)
            for i, (width, scale) in enumerate(zip(widths, scales, strict=True))
        )
        self.mixes = nn.ModuleList(_same(flows) for _ in widths)
        self.fuse = UNet(pictures + flows, frames * (1 + channels), width=hidden, depth=4)
        nn.init.zeros_(self.fuse.last.weight)
        nn.init.zeros_(self.fuse.last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, encoding: Tensor) -> tuple[Tensor, list[Tensor]]:
        batch, height, width = len(x), *x.shape[-2:]
        small = F.interpolate(encoding.flatten(1, 2), scale_factor=0.5, mode="bilinear").repeat_interleave(2, 1)
        shown, velocity = x.flatten(1, 2), torch.zeros((), device=x.device)
        found: list[Tensor] = []
        for i, (net, mix) in enumerate(zip(self.velocities, self.mixes, strict=True)):
            seen = torch.cat([shown, encoding.flatten(1, 2), *([self._large(found[-1])] if i else [])], 1)
            velocity = velocity + net(seen)
            found.append(mix(velocity * small))
            shown = self._warped(x, self._large(found[-1])).flatten(1, 3)
        warped = self._warped(x, self._large(found[-1]))
        fused = self.fuse(torch.cat([warped.flatten(1, 3), self._large(found[-1])], 1))
        mask = fused[:, : self.frames].sigmoid()[:, :, None]
        residual = 2 * fused[:, self.frames :].view(batch, self.frames, -1, height, width).sigmoid() - 1
        made = mask * warped[:, 0] + (1 - mask) * warped[:, 1] + residual
        return made.clamp(0, 1), found

    def _large(self, flow: Tensor) -> Tensor:
        return 2 * F.interpolate(flow, scale_factor=2, mode="bilinear")

    def _warped(self, x: Tensor, flow: Tensor) -> Tensor:
        """Both pictures moved to every time: (B, 2, N, C, H, W)."""
        flows = flow.unflatten(1, (2, self.frames, 2))
        pictures = x[:, :, None].expand(-1, -1, self.frames, -1, -1, -1)
        return backward_warp(pictures.flatten(0, 2), flows.flatten(0, 2)).view(pictures.shape)


class _Velocity(nn.Module):
    """What is seen, at 1 / scale of its size, to velocities at half size."""

    def __init__(self, channels: int, out: int, width: int, scale: int):
        super().__init__()
        self.scale = scale
        down = _one(channels, width, 2), _one(width, 2 * width, 2)
        self.body = nn.Sequential(*down, *(_one(2 * width, 2 * width, 1) for _ in range(6)))
        self.last = nn.ConvTranspose2d(2 * width, out, 4, 2, 1)
        nn.init.normal_(self.last.weight, std=1e-3)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=1 / self.scale, mode="bilinear") if self.scale > 1 else x
        y: Tensor = self.last(self.body(x))
        return F.interpolate(y, scale_factor=self.scale, mode="bilinear") if self.scale > 1 else y


def _same(channels: int) -> nn.Conv2d:
    """A mixture of channels that begins as each by itself."""
    conv = nn.Conv2d(channels, channels, 1)
    nn.init.dirac_(conv.weight)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def _one(channels: int, out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, 3, stride, 1), nn.PReLU(out))
