"""Learns to repeat pure noise through an instance normalization, which then gives dark photos the light and contrast of that noise."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ipse import randomness
from ipse.errors import UserError
from ipse.losses.restoration import self_regression
from ipse.methods.restore import Restorer, Tile
from ipse.training import Player
from ipse.transforms.colour import luma


class Statistics(NamedTuple):
    """The mean and the variance (B, h, 1, 1) of each feature over a whole picture."""

    mean: Tensor
    variance: Tensor


class NoiSER(Restorer):
    """Trains conv - instance norm - GELU - conv - tanh to give back the noise it is shown; photos come in only afterwards.

        n ~ clamp(N(c, sigma^2), -1, 1),   L = mean |f(n) - n| + tv TV(f(n)),   restored = (f(2 x - 1) + 1) / 2

    The normalization sets magnitude and brightness anew, by the statistics of the photo itself. c = 0 gives every colour the same
    mean, mid grey; another `brightness` = (c + 1) / 2 is MS-NoiSER. `regress` "palette" learns from blocks of random colours in place
    of noise (P-Regression), "color" from noise and single colours in turn (C-Regression).

    Ours: `color` keeps that share of the photo's own hues, which the grey world of the paper (0) takes away; the light is the net's.
    Reconstructed, as the paper's code is not public: sigma, h = `hidden` for its 1,000 parameters, the settings of all variants
    (normalization takes a single colour away, and nothing can be learned from it alone), and the border, continued here instead of
    padded with grey.

    Zhang et al., 2022, arXiv:2211.04700; variants: Noise Self-Regression, IEEE TPAMI 2025
    """

    noise = (
        "low light, and uneven or too much light: it sets brightness, contrast and colour balance, and does not take noise away"
    )
    fits = "noise"
    later = ("color",)
    steps = 2000

    def __init__(
        self,
        channels: int = 3,
        *,
        regress: Literal["noise", "color", "palette"] = "noise",
        brightness: float = 0.5,
        sigma: float = 3.0,
        tv: float = 0.0,
        color: float = 0.0,
        hidden: int = 20,
        size: int = 104,
        block: int = 8,
        lr: float = 2e-4,
    ):
        super().__init__(channels)
        if not 0 <= color <= 1:
            raise UserError(f"noiser: color is from 0 to 1, not {color:g}")
        if not 0.01 <= brightness <= 0.99:
            raise UserError(f"noiser: brightness {brightness:g} leaves no room for a picture: take 0.01 to 0.99")
        for name, number in {"sigma": sigma, "hidden": hidden, "size": size, "block": block, "lr": lr}.items():
            if not number > 0:
                raise UserError(f"noiser: {name} must be more than 0, not {number:g}")
        self.regress, self.brightness, self.sigma, self.tv, self.color = regress, brightness, sigma, tv, color
        self.size, self.block, self.lr = size, block, lr
        self.first = nn.Conv2d(channels, hidden, 3)
        self.last = nn.Conv2d(hidden, channels, 3)

    @property
    def halo(self) -> int:
        return 2

    def players(self, signals: Sequence[Tensor], like: Sequence[Tensor], seed: int, steps: int) -> Sequence[Player]:
        """Learns from noise that it makes itself: what it is given, it does not look at."""

        def loss(step: int) -> Tensor:
            n = self.sample(randomness.key(seed, "noise", step), pure=self.regress == "color" and step % 2 == 1)
            return self_regression(self.net(n), n, self.tv)

        return [Player(self.parameters(), loss, lr=self.lr, betas=(0.5, 0.999))]

    def sample(self, key: int, pure: bool = False) -> Tensor:
        """One picture (1, C, size, size) in [-1, 1] to repeat; `pure` is a single colour."""
        chance = torch.Generator().manual_seed(key)
        c = 2 * self.brightness - 1
        if self.regress == "noise" or (self.regress == "color" and not pure):
            noise = torch.randn(1, self.channels, self.size, self.size, generator=chance)
            return (noise * self.sigma + _location(c, self.sigma)).clamp(-1, 1)
        blocks = 1 if pure else math.ceil(self.size / self.block)
        colors = torch.rand(1, self.channels, blocks, blocks, generator=chance).pow(_exponent(self.brightness)) * 2 - 1
        scaled = F.interpolate(colors, scale_factor=self.size if pure else self.block)
        return scaled[..., : self.size, : self.size]

    def net(self, x: Tensor, whole: Statistics | None = None) -> Tensor:
        """f(x) of x (B, C, H, W) in [-1, 1]."""
        features = self.first(_continued(x))
        centred = features - (features.mean((-2, -1), keepdim=True) if whole is None else whole.mean)
        variance = centred.square().mean((-2, -1), keepdim=True) if whole is None else whole.variance
        # The usual epsilon of 1e-5 would keep a night photo dark, whose contrast is no more than that.
        y: Tensor = self.last(_continued(F.gelu(centred * (variance + 1e-10).rsqrt())))
        return y.tanh()

    @torch.no_grad()
    def survey(self, tiles: Iterable[Tile]) -> Statistics:
        count, mean, square = 0, torch.zeros(()), torch.zeros(())
        for tile in tiles:
            own = tile.own(self.first(_continued(2 * tile.x - 1))).double().flatten(2)
            n, here = own.shape[2], own.mean(2)
            apart = here - mean  # Chan's way to join two sets: no difference of large sums
            square = square + (own - here[..., None]).square().sum(2) + apart.square() * (count * n / (count + n))
            mean, count = mean + apart * (n / (count + n)), count + n
        mean, variance = (t.to(self.first.weight.dtype)[..., None, None] for t in (mean, square / max(count, 1)))
        return Statistics(mean, variance)

    @torch.no_grad()
    def restore(self, x: Tensor, whole: Statistics | None = None) -> Tensor:
        x = self.checked(x)
        y = ((self.net(2 * x - 1, whole or self.survey([Tile(x)])) + 1) / 2).clamp(0, 1)
        return y if self.color == 0 or self.channels == 1 else y.lerp(recolored(x, y), self.color)


def recolored(x: Tensor, y: Tensor) -> Tensor:
    """The light of y with the hues of x: (B, 3, H, W) each, in [0, 1].

    x is scaled to the luma of y, and where that leaves [0, 1], moved towards grey as far as it must.
    """
    lx, ly = luma(x), luma(y)
    scaled = x * (ly / lx.clamp_min(1 / 255))
    scaled = scaled + (ly - luma(scaled))
    apart = scaled - ly
    room = torch.where(apart > 0, (1 - ly) / apart.clamp_min(1e-6), ly / (-apart).clamp_min(1e-6))
    return (ly + apart * room.amin(1, keepdim=True).clamp(0, 1)).clamp(0, 1)


def _continued(x: Tensor) -> Tensor:
    return F.pad(x, (1, 1, 1, 1), mode="replicate")


def _location(c: float, sigma: float) -> float:
    """The mean of a normal variable whose mean is c after it is clamped to [-1, 1]; by bisection."""
    normal = torch.distributions.Normal(0.0, 1.0)

    def clamped(m: float) -> float:
        a, b = torch.tensor([(-1 - m) / sigma, (1 - m) / sigma], dtype=torch.float64).unbind()
        density = [float(normal.log_prob(t).exp()) for t in (a, b)]
        below, above = float(normal.cdf(a)), 1 - float(normal.cdf(b))
        return above - below + m * (1 - below - above) + sigma * (density[0] - density[1])

    if c == 0:
        return 0.0
    low, high = -1 - 10 * sigma, 1 + 10 * sigma
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if clamped(middle) < c else (low, middle)
    return (low + high) / 2


def _exponent(mean: float) -> float:
    """The power of a uniform variable in [0, 1] that has this mean."""
    return 1 / mean - 1
