"""Brings two rolling-shutter pictures, read in opposite directions, alive: frames at any time, checked by distorting them again."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ipse import randomness
from ipse.errors import UserError
from ipse.losses.rolling_shutter import charbonnier, flow_variation, redistorted, redistorted_via
from ipse.methods.restore import Restorer
from ipse.models.flow import lucas_kanade
from ipse.models.perceptual import VGG
from ipse.models.shutter import GlobalShutter, encodings
from ipse.training import Player

_MULTIPLE = 32


class Patch(NamedTuple):
    """Parts x (B, 2, C, h, w) of pairs of pictures, and when each of their rows is read from the top, (B, h)."""

    x: Tensor
    rows: Tensor

    def inner(self, margin: int) -> Patch:
        """Without so many pixels at each side."""
        n, m = self.x.shape[-2], self.x.shape[-1]
        return Patch(self.x[..., margin : n - margin, margin : m - margin], self.rows[:, margin : n - margin])


class SelfDRSC(Restorer):
    """Learns frames g_0, g_s, g_1, s at random, that give both pictures back when they are distorted as a rolling shutter does.

        L = sum over both pictures, from (g_0, g_1) and through g_s, of Charbonnier + perceptual (feature distance), + variation TV(flows)

    The flow between the frames is found by `models.flow.lucas_kanade`, without weights and with gradients, where the authors take a trained
    PWC-Net. Then, for the `distilled` share of the steps at half the rate, the net as it is teaches: it sees a patch that is `margin` pixels
    larger at each side, which the student must make up for. frames: how many are given back, evenly from the first row's time to the last's.

    Takes (B, 2, C, H, W): the picture read from the top first, then the one from the bottom. The authors: size 256, batch 48, 300,000 steps
    twice. features: "random" is an untrained VGG16 of `feature_width`, "vgg16" ImageNet's; theirs is VGG19.

    Shang et al., ICCV 2023, arXiv:2305.19862
    """

    noise = "pairs of rolling-shutter pictures of one exposure, read in opposite directions"
    fits = "all"
    takes = "frames"
    steps = 2000

    def __init__(
        self,
        channels: int = 3,
        *,
        frames: int = 9,
        via_middle: bool = True,
        perceptual: float = 0.1,
        variation: float = 0.1,
        distilled: float = 0.5,
        margin: int = 32,
        size: int = 256,
        batch: int = 1,
        widths: tuple[int, ...] = (192, 128, 96, 48),
        hidden: int = 32,
        features: str = "random",
        feature_width: int = 16,
        lr: float = 1e-4,
    ):
        super().__init__(channels)
        if frames < 1:
            raise UserError(f"selfdrsc: frames must be at least 1, not {frames}")
        if not 0 <= distilled <= 1:
            raise UserError(f"selfdrsc: distilled is a share from 0 to 1, not {distilled:g}")
        if len(widths) != 4:
            raise UserError(f"selfdrsc: widths are four, from coarse to fine, not {len(widths)}")
        self.frames, self.via_middle, self.perceptual, self.variation = frames, via_middle, perceptual, variation
        self.distilled, self.margin, self.size, self.batch, self.lr = distilled, margin, size, batch, lr
        self.features, self.feature_width = features, feature_width
        self.net = GlobalShutter(channels, widths=tuple(widths), hidden=hidden)

    def players(self, signals: Sequence[Tensor], like: Sequence[Tensor], seed: int, steps: int) -> Sequence[Player]:
        """signals: pairs of pictures (1, 2, C, H, W)."""
        if not len(signals):
            raise UserError("selfdrsc learns from pairs of rolling-shutter pictures: give it some")
        alone = round((1 - self.distilled) * steps)
        phi = VGG(["2_2", "3_3"], weights=self.features, width=self.feature_width, seed=seed).to(next(self.parameters()).device)
        teacher: GlobalShutter | None = None

        def distance(x: Tensor, target: Tensor) -> Tensor:
            near = charbonnier(x, target)
            if not self.perceptual:
                return near
            pairs = zip(phi(x), phi(target), strict=True)
            return near + self.perceptual * sum((F.l1_loss(f, g.detach()) for f, g in pairs), x.new_zeros(()))

        def loss(step: int) -> Tensor:
            nonlocal teacher
            chance = torch.Generator().manual_seed(randomness.key(seed, "patches", step))
            alone_still = step < alone
            patch = self.patches(signals, chance, 0 if alone_still else self.margin)
            middle = 0.05 + 0.9 * torch.rand(len(patch.x), 1, generator=chance).to(patch.x.device)
            times = torch.cat([torch.zeros_like(middle), middle, torch.ones_like(middle)], 1)
            if alone_still:
                return self.redistortion(patch, times, distance)[0]
            if teacher is None:
                teacher = copy.deepcopy(self.net).requires_grad_(False).eval()
            inner = patch.inner(self.margin)
            with torch.no_grad():
                taught, _ = _run(teacher, patch, times)
            n, m = taught.shape[-2:]
            taught = taught[..., self.margin : n - self.margin, self.margin : m - self.margin]
            total, made = self.redistortion(inner, times, distance)
            return total + distance(made.flatten(0, 1), taught.flatten(0, 1))

        def half(step: int) -> float:
            return 1.0 if step < alone else 0.5

        return [Player(self.parameters(), loss, lr=self.lr, schedule=half)]

    def redistortion(
        self, patch: Patch, times: Tensor, distance: Callable[[Tensor, Tensor], Tensor] = charbonnier
    ) -> tuple[Tensor, Tensor]:
        """The loss of what is made of a patch at times (B, 3), 0, s and 1, and what is made, (B, 3, C, h, w)."""
        made, found = _run(self.net, patch, times)
        g0, gs, g1 = made.unbind(1)
        middle = times[:, 1].view(-1, 1, 1, 1)
        pairs = [(g0, g1), (g1, g0), *([(g0, gs), (gs, g0), (gs, g1), (g1, gs)] if self.via_middle else [])]
        first, second = (torch.cat(each) for each in zip(*pairs, strict=True))
        flow = lucas_kanade(first, second).chunk(len(pairs))
        total = made.new_zeros(())
        for picture, rows in zip(patch.x.unbind(1), (patch.rows, 1 - patch.rows), strict=True):
            time = rows[:, None, :, None]
            total = total + distance(redistorted(g0, g1, flow[0], flow[1], time), picture)
            if self.via_middle:
                halves = (flow[2], flow[3]), (flow[4], flow[5])
                total = total + distance(redistorted_via((g0, gs, g1), halves, time, middle), picture)
        flows = [flow_variation(f.unflatten(1, (-1, 2)).flatten(0, 1)) for f in found]
        return total + self.variation * torch.stack(flows).sum(), made

    def patches(self, signals: Sequence[Tensor], chance: torch.Generator, margin: int) -> Patch:
        """Parts of pairs at random, of `size` and the margin around them, or as much as the smallest picked pair has."""
        whole = [self._pair(signals[i]) for i in torch.randint(len(signals), (self.batch,), generator=chance).tolist()]
        height, width = (min(self.size + 2 * margin, *(x.shape[d] for x in whole)) for d in (-2, -1))
        if min(height, width) <= 2 * margin:
            raise UserError(
                f"selfdrsc: pictures of {width} x {height} have nothing inside a margin of {margin}: set a smaller one"
            )
        parts, rows = [], []
        for x in whole:
            top, left = (int(torch.randint(x.shape[d] - n + 1, (), generator=chance)) for d, n in ((-2, height), (-1, width)))
            parts.append(x[..., top : top + height, left : left + width])
            rows.append(torch.linspace(0, 1, x.shape[-2], device=x.device)[top : top + height])
        return Patch(torch.cat(parts), torch.stack(rows))

    @torch.no_grad()
    def restore(self, x: Tensor, whole: None = None) -> Tensor:
        x = self._pair(self.checked(x))
        patch = Patch(x, torch.linspace(0, 1, x.shape[-2], device=x.device).expand(len(x), -1))
        wished = [i / (self.frames - 1) for i in range(self.frames)] if self.frames > 1 else [0.5]
        made: dict[float, Tensor] = {}
        # All three frames come from one look, whose middle one is at a wished time; the ends come with the first.
        for s in [s for s in wished if 0 < s < 1] or [0.5]:
            three, _ = _run(self.net, patch, torch.tensor([[0.0, s, 1.0]], device=x.device).expand(len(x), -1))
            made = {0.0: three[:, 0], 1.0: three[:, 2]} | made | {s: three[:, 1]}
        return torch.stack([made[s] for s in wished], 1)

    def _pair(self, x: Tensor) -> Tensor:
        if x.shape[1] != 2:
            raise UserError(f"selfdrsc takes two pictures, read from the top and from the bottom, not {x.shape[1]}")
        return x


def _run(net: GlobalShutter, patch: Patch, times: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The frames of a patch of any size, continued to what the net takes."""
    height, width = patch.x.shape[-2:]
    below, right = -height % _MULTIPLE, -width % _MULTIPLE
    encoding = encodings(patch.rows, times).expand(-1, -1, -1, -1, width).to(patch.x.dtype)

    def continued(x: Tensor) -> Tensor:
        y: Tensor = F.pad(x.flatten(1, -3), (0, right, 0, below), mode="replicate").unflatten(1, x.shape[1:-2])
        return y

    made, flows = net(continued(patch.x), continued(encoding))
    return made[..., :height, :width], flows
