"""Predicts what a radar image reflects from its real part and scores that on its imaginary part, and the other way round."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from math import lcm
from typing import NamedTuple

import torch
from torch import Tensor

from ipse import randomness
from ipse.errors import UserError
from ipse.losses.restoration_likelihood import speckle_likelihood
from ipse.methods.restore import Restorer, Tile
from ipse.methods.restore.lazy import Lazy
from ipse.models.unet import UNet, from_zero
from ipse.training import Player, patches

_BINS = 64  # a carrier in whole steps of 1/64 has the same phase in every tile, as tiles begin at multiples of that many pixels


class Carrier(NamedTuple):
    """Where the middle of a spectrum is, in cycles per pixel, down and across."""

    row: float
    column: float


class Merlin(Restorer):
    """Despeckles single-look complex radar images z = a + j b with nothing but themselves to learn from.

        a, b ~ N(0, R/2), independent;   L = mean 1/2 log R + b^2 / R,  R = exp f(log(a^2 + eps));   a and b change places patch by patch
        restored amplitude = sqrt((exp f(a) + exp f(b)) / 2)

    low, high: the logarithms of the amplitudes that become 0 and 1; without them, those that a thousandth of the training data is below
    and above. The paper's, of TerraSAR-X, are -1.4293 and 10.0890; eps is in proportion, its 1e-3 there. recentre: moves the middle of the
    spectrum to zero first, as a Doppler shift makes the parts of neighbours depend on each other.

    The net is a U-Net of equal width at all scales, whose output is taken from its input. Ours: the shift is measured by Madsen's
    correlation, where the paper mirrors the profile of the spectrum; two convolutions at every scale; how long it learns.

    Dalsasso, Denis & Tupin, IEEE TGRS 2021, arXiv:2110.13148
    """

    noise = "fully developed speckle of single-look complex radar images, correlated between pixels or not"
    fits = "all"
    takes = "complex"
    steps = 5000

    def __init__(
        self,
        channels: int = 1,
        *,
        low: float | None = None,
        high: float | None = None,
        recentre: bool = True,
        width: int = 48,
        depth: int = 5,
        patch: int = 256,
        batch: int = 12,
        lr: float = 1e-3,
        last_lr: float = 1e-4,
        clip: float = 5.0,
    ):
        super().__init__(channels)
        if low is not None and high is not None and not low < high:
            raise UserError(f"merlin: low must be less than high, not {low:g} and {high:g}")
        self.recentre, self.patch, self.batch, self.lr, self.last_lr, self.clip = recentre, patch, batch, lr, last_lr, clip
        self.given = low, high
        self.register_buffer("range", torch.tensor([math.nan if v is None else v for v in (low, high)]))
        self.range: Tensor
        self.net = UNet(1, 1, width=width, depth=depth, growth=1)
        from_zero(self.net, self.net.last)

    @property
    def halo(self) -> int:
        return self.net.radius

    @property
    def multiple(self) -> int:
        return lcm(self.net.multiple, _BINS)

    def players(self, signals: Sequence[Tensor], like: Sequence[Tensor], seed: int, steps: int) -> Sequence[Player]:
        size = -(-self.patch // self.net.multiple) * self.net.multiple
        carriers = [self.survey([Tile(self.checked(signals[i]))]) for i in range(len(signals))]
        centred = Lazy(len(signals), lambda i: without_carrier(signals[i], carriers[i]))
        self.range = self._measured(signals)

        def loss(step: int) -> Tensor:
            z = patches(centred, size, self.batch, seed=seed, step=step, flips=True)
            turned = randomness.uniform(randomness.key(seed, "part", step), torch.arange(self.batch), 1) < 0.5
            a, b = (torch.where(turned[..., None, None].to(z.device), z[:, i, None], z[:, 1 - i, None]) for i in (0, 1))
            return speckle_likelihood(self.log_reflectivity(a), b)

        def falling(step: int) -> float:
            return 1.0 if step < 0.5 * steps else self.last_lr / self.lr

        return [Player(self.parameters(), loss, lr=self.lr, schedule=falling, clip=self.clip)]

    def log_reflectivity(self, part: Tensor) -> Tensor:
        """log R (B, 1, H, W), predicted from one part a (B, 1, H, W)."""
        low, high = self.range.nan_to_num(0.0).unbind()
        x = (torch.log(part.square() + 1e-3 * torch.exp(2 * (low - _LOW))) - 2 * low) / (2 * (high - low))
        log_r: Tensor = 2 * ((x - self.net(x)) * (high - low) + low)
        return log_r

    @torch.no_grad()
    def survey(self, tiles: Iterable[Tile]) -> Carrier:
        """Where the middle of the spectrum is; at zero where it is flat."""
        if not self.recentre:
            return Carrier(0.0, 0.0)
        power, down, across = 0.0, 0j, 0j
        for tile in tiles:
            own = tile.own(tile.x).double()
            z = torch.complex(own[:, 0], own[:, 1])
            power += float(z.abs().square().sum())
            down += complex((z[:, 1:] * z[:, :-1].conj()).sum())
            across += complex((z[:, :, 1:] * z[:, :, :-1].conj()).sum())
        turns = (0.0 if abs(r) < 0.1 * power else math.atan2(r.imag, r.real) / (2 * math.pi) for r in (down, across))
        return Carrier(*(round(turn * _BINS) / _BINS for turn in turns))

    @torch.no_grad()
    def restore(self, x: Tensor, whole: Carrier | None = None) -> Tensor:
        x = self.checked(x)
        z = without_carrier(x, self.survey([Tile(x)]) if whole is None else whole)
        first, second = (self.log_reflectivity(z[:, i, None]).exp() for i in (0, 1))
        return ((first + second) / 2).sqrt()

    def _measured(self, signals: Sequence[Tensor]) -> Tensor:
        """The range of the logarithm of the amplitude: given, or that of all but a thousandth at each end."""
        if None not in self.given:
            return self.range
        amplitudes = [signals[i].square().sum(1).sqrt().flatten() for i in range(len(signals))]
        every = torch.cat([a[:: max(1, len(a) // 100_000)] for a in amplitudes])
        every = every[every > 0]
        if not len(every):
            raise UserError("merlin: the radar images are empty: every amplitude is 0")
        low, high = every[:: max(1, len(every) // 1_000_000)].log().quantile(torch.tensor([0.001, 0.999])).tolist()
        low, high = (v if v is not None else m for v, m in zip(self.given, (low, max(high, low + 1.0)), strict=True))
        return torch.tensor([low, high]).to(self.range)


def without_carrier(x: Tensor, carrier: Carrier) -> Tensor:
    """x (B, 2, H, W) with its spectrum moved, so that its middle is at zero."""
    if carrier == (0.0, 0.0):
        return x
    rows, columns = (torch.arange(n, dtype=x.dtype, device=x.device) for n in x.shape[-2:])
    phase = -2 * math.pi * (rows[:, None] * carrier.row + columns * carrier.column)
    cos, sin = phase.cos(), phase.sin()
    return torch.stack([x[:, 0] * cos - x[:, 1] * sin, x[:, 0] * sin + x[:, 1] * cos], dim=1)


_LOW = -1.429329123112601  # of the paper's sensor, for which eps = 1e-3
