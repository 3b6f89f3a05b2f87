"""A generator that makes each frame from the one before, and a discriminator of triplets of frames."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ipse.errors import UserError
from ipse.models.flow import FlowNet
from ipse.models.warp import backward_warp


class FrameRecurrent(nn.Module):
    """g_t = up(a_t) + G(a_t, W(g_{t-1}, v_t)),   v_t = F(a_{t-1}, a_t),   g_0 an empty picture.

    Low-resolution frames (B, T, C, H, W) to frames `scale` times as large (1, 2, 4 or 8); up is bicubic. The previous result is moved along the
    flow and folded into channels at low resolution.

    Sajjadi, Vemulapalli & Brown, CVPR 2018, arXiv:1801.04590; Chu et al., ACM TOG 2020
    """

    def __init__(self, channels: int, *, scale: int = 4, blocks: int = 16, width: int = 64, flow_width: int = 32):
        super().__init__()
        if scale not in (1, 2, 4, 8):
            raise UserError(f"scale is 1, 2, 4 or 8, not {scale}")
        self.scale = scale
        self.flow = FlowNet(channels, width=flow_width)
        self.first = nn.Conv2d(channels * (1 + scale**2), width, 3, padding=1)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(blocks))
        self.up = nn.ModuleList(nn.ConvTranspose2d(width, width, 4, 2, 1) for _ in range(scale.bit_length() - 1))
        self.last = nn.Conv2d(width, channels, 3, padding=1)
        nn.init.normal_(self.last.weight, std=1e-3)

    def flows(self, a: Tensor, backwards: bool = False) -> Tensor:
        """v of all frames but the first, (B, T - 1, 2, H, W), from a_{t-1} to a_t; or from a_{t+1} to a_t of all but the last."""
        pair = (a[:, 1:], a[:, :-1]) if backwards else (a[:, :-1], a[:, 1:])
        flow = self.flow(*(x.flatten(0, 1) for x in pair))
        parted: Tensor = flow.unflatten(0, (len(a), -1))
        return parted

    def enlarged(self, flow: Tensor) -> Tensor:
        """A flow (B, 2, H, W) at the size of the results."""
        if self.scale == 1:
            return flow
        return self.scale * F.interpolate(flow, scale_factor=self.scale, mode="bilinear")

    def forward(self, a: Tensor, flows: Tensor | None = None, detach: int = 0) -> Tensor:
        """detach: no gradient from a result to the one before, every so many frames; 0 never."""
        flows = self.flows(a) if flows is None and a.shape[1] > 1 else flows
        made: list[Tensor] = []
        for t in range(a.shape[1]):
            if t == 0 or flows is None:
                moved = a.new_zeros(len(a), a.shape[2] * self.scale**2, *a.shape[3:])
            else:
                before = made[-1].detach() if detach and t % detach == 0 else made[-1]
                moved = F.pixel_unshuffle(backward_warp(before, self.enlarged(flows[:, t - 1])), self.scale)
            made.append(self.frame(a[:, t], moved))
        return torch.stack(made, 1)

    def frame(self, a: Tensor, moved: Tensor) -> Tensor:
        """One frame from a_t and the previous result, moved and folded."""
        y = self.first(torch.cat([a, moved], 1)).relu()
        for block in self.blocks:
            y = block(y)
        for up in self.up:
            y = up(y).relu()
        base = a if self.scale == 1 else F.interpolate(a, scale_factor=self.scale, mode="bicubic")
        out: Tensor = base + self.last(y)
        return out


class TripletDiscriminator(nn.Module):
    """Judges triplets of frames, 9 pictures (B, 9 C, H, W): a map of logits (B, 1, H / 16, W / 16), and the features of its four layers.

    Chu et al., ACM TOG 2020, arXiv:1811.09393
    """

    def __init__(self, channels: int, *, width: int = 64):
        super().__init__()
        self.first = nn.Conv2d(9 * channels, width, 3, padding=1)
        widths = (width, width, width, 2 * width, 4 * width)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2))
            for a, b in pairwise(widths)
        )
        self.last = nn.Conv2d(4 * width, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        # A batch norm has nothing to normalise where a layer has a single place.
        x = F.pad(x, (0, max(0, 32 - x.shape[-1]), 0, max(0, 32 - x.shape[-2])), mode="replicate")
        y, features = F.leaky_relu(self.first(x), 0.2), []
        for layer in self.layers:
            y = layer(y)
            features.append(y)
        return self.last(y), features


def triplets(a: Tensor, x: Tensor, before: Tensor, after: Tensor, border: float = 0.125) -> Tensor:
    """What the discriminator sees of every three frames in a row: (B n, 9 C, H, W), n = T // 3.

    The low-resolution frames enlarged, the frames themselves, and the frames with the first and the last moved onto the middle one, of which a
    share `border` at each side is blanked, where warping guesses.

    `a`: (B, T, C, h, w). `x`: (B, T, C, H, W), real or made. `before`, `after`: flows (B, n, 2, H, W) by which W(x_{t-1}, before) and
    W(x_{t+1}, after) meet x_t.
    """
    n, size = x.shape[1] // 3, x.shape[-2:]
    a, x = (t[:, : 3 * n].unflatten(1, (n, 3)).flatten(0, 1) for t in (a, x))
    large = F.interpolate(a.flatten(1, 2), size=size, mode="bilinear")
    before, after = before.flatten(0, 1), after.flatten(0, 1)
    moved = torch.cat([backward_warp(x[:, 0], before), x[:, 1], backward_warp(x[:, 2], after)], 1)
    inner = torch.zeros(size, device=x.device)
    top, left = (int(border * side) for side in size)
    inner[top : size[0] - top, left : size[1] - left] = 1
    return torch.cat([large, x.flatten(1, 2), inner * moved], 1)


class _Block(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.body(x)
        return y
