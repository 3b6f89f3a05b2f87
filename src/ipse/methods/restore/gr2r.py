"""Splits one noisy picture into two whose noise is independent, and learns to get from one to the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import cos, lcm, pi
from typing import Literal

import torch
from torch import Tensor

from ipse import randomness
from ipse.errors import UserError
from ipse.losses.restoration_likelihood import recorrupted, recorrupted_likelihood
from ipse.methods.restore import Restorer, Tile
from ipse.methods.restore.lazy import Lazy
from ipse.metrics.noise import binomial_trials, gamma_looks, gaussian_sigma, poisson_gain
from ipse.models.unet import DnCNN, UNet, from_zero
from ipse.training import Player, patches
from ipse.transforms import recorrupt as draws
from ipse.transforms.recorrupt import Split

Family = Literal["gaussian", "poisson", "gamma", "binomial", "log-rayleigh"]

_PERIOD = 64  # of the numbers by which a picture is split again: so they are the same for a pixel in whatever tile it is
_ESTIMATES = {
    "gaussian": gaussian_sigma,
    "poisson": poisson_gain,
    "gamma": gamma_looks,
    "binomial": binomial_trials,
    "log-rayleigh": gaussian_sigma,
}


class GeneralizedR2R(Restorer):
    """Learns f(y1) = y2 from halves of a noisy picture y that have errors of their own; the best such f restores y1.

        (1 - alpha) y1 + alpha y2 = y,   L = mean (f(y1) - y2)^2,   restored = mean of f(y1) over `samples` new splits of y

    noise: gaussian (level: standard deviation sigma), poisson (gain: y is a whole multiple of it, of variance gain x), gamma (looks: of
    variance x^2 / looks), binomial (trials: the mean of so many frames of one bit, at least 2) or log-rayleigh (standard deviation), in
    units where white is 1. Without a level it is estimated from each picture. alpha: small leaves y1 near y and y2 very noisy. loss:
    the squared error, or the negative log-likelihood of y2.

    Log-Rayleigh noise is split with all its cumulants, not the first few: see `ipse.transforms.recorrupt`. Reconstructed: the net and how
    it learns, U-Net with a residual and Adam with a cosine; alpha and samples are those of the authors' library.

    Monroy, Bacca & Tachella, CVPR 2025, arXiv:2412.04648
    """

    noise = "Gaussian, Poisson, Gamma, binomial or log-Rayleigh noise of known or estimated level, independent between pixels"
    fits = "all"
    later = ("samples",)
    steps = 2000

    def __init__(
        self,
        channels: int = 3,
        *,
        noise: Family = "gaussian",
        level: float | None = None,
        alpha: float = 0.15,
        samples: int = 5,
        loss: Literal["mse", "likelihood"] = "mse",
        net: Literal["unet", "dncnn"] = "unet",
        width: int = 32,
        depth: int | None = None,
        patch: int = 64,
        batch: int = 16,
        lr: float = 1e-3,
    ):
        super().__init__(channels)
        if noise not in _ESTIMATES:
            raise UserError(f"generalized-r2r: noise is one of {', '.join(_ESTIMATES)}, not {noise!r}")
        if level is not None and not level > 0:
            raise UserError(f"generalized-r2r: level must be more than 0, not {level:g}")
        if noise == "binomial" and level is not None and (level < 2 or level != round(level)):
            raise UserError(
                f"generalized-r2r: of binomial noise the level is a whole number of trials, at least 2, not {level:g}"
            )
        if not 0 < alpha < 1:
            raise UserError(f"generalized-r2r: alpha is between 0 and 1, not {alpha:g}")
        if samples < 1:
            raise UserError(f"generalized-r2r: samples must be at least 1, not {samples}")
        if loss == "likelihood" and noise == "log-rayleigh":
            raise UserError("generalized-r2r: halves of log-rayleigh noise have no likelihood of their own; take loss=mse")
        self.family, self.level, self.alpha, self.samples, self.objective = noise, level, alpha, samples, loss
        self.patch, self.batch, self.lr = patch, batch, lr
        self.net: UNet | DnCNN
        if net == "unet":
            self.net = UNet(channels, channels, width=width, depth=3 if depth is None else depth)
            from_zero(self.net, self.net.last)
        else:
            self.net = DnCNN(channels, channels, width=width, depth=17 if depth is None else depth, residual=False)
            from_zero(self.net, self.net.body[-1])

    @property
    def halo(self) -> int:
        return self.net.radius

    @property
    def multiple(self) -> int:
        return lcm(self.net.multiple, _PERIOD)

    def players(self, signals: Sequence[Tensor], like: Sequence[Tensor], seed: int, steps: int) -> Sequence[Player]:
        size = -(-self.patch // self.net.multiple) * self.net.multiple
        levels = [self.survey([Tile(self.checked(signals[i]))]) for i in range(len(signals))]

        def with_level(i: int) -> Tensor:
            x = signals[i]
            return torch.cat([x, torch.full_like(x[:, :1], levels[i])], dim=1)

        known = Lazy(len(signals), with_level)

        def loss(step: int) -> Tensor:
            both = patches(known, size, self.batch, seed=seed, step=step, flips=True)
            y, level = both[:, :-1], both[:, -1:, :1, :1]
            chance = torch.Generator().manual_seed(randomness.key(seed, "split", step))
            first, second = self.split(y, level, self.draws(tuple(y.shape), level, chance))
            if self.objective == "mse" or self.family == "log-rayleigh":
                return recorrupted(self.clean(first), second)
            return recorrupted_likelihood(self.clean(first), second, self.family)

        return [Player(self.parameters(), loss, lr=self.lr, schedule=lambda step: (1 + cos(pi * step / steps)) / 2)]

    def clean(self, first: Tensor) -> Tensor:
        """f(y1)."""
        corrected: Tensor = first - self.net(first)
        return corrected

    def draws(self, shape: tuple[int, ...], level: float | Tensor, chance: torch.Generator) -> Tensor:
        """What makes a split of y, of a shape (B, C, H, W), random; of uniform numbers for counts, which know y besides."""
        if self.family == "gaussian":
            return torch.randn(shape, generator=chance)
        if self.family in ("poisson", "binomial"):
            return torch.rand(shape, generator=chance)
        if self.family == "gamma":
            return draws.beta_draws(shape, level, self.alpha, chance).float()
        return draws.log_rayleigh_draws(shape, level, self.alpha, chance).float()

    def split(self, y: Tensor, level: float | Tensor, w: Tensor) -> Split:
        """The halves of y (B, C, H, W), given what was drawn for them."""
        w = w.to(y)
        if self.family == "gaussian":
            return draws.gaussian_split(y, w, level, self.alpha)
        if self.family == "poisson":
            return draws.poisson_split(y, draws.binomial_draws(y / level, self.alpha, w), level, self.alpha)
        if self.family == "binomial":
            taken = draws.taken_of(level, self.alpha).to(y)
            return draws.binomial_split(y, draws.hypergeometric_draws(y * level, level, taken, w), level, self.alpha)
        if self.family == "gamma":
            return draws.gamma_split(y, w, self.alpha)
        return draws.additive_split(y, w, self.alpha)

    @torch.no_grad()
    def survey(self, tiles: Iterable[Tile]) -> float:
        """The noise level: as given, or estimated."""
        if self.level is not None:
            return self.level
        # Where there is no noise, nothing stays of a level of 0 that one could divide by.
        level = _ESTIMATES[self.family](tile.own(tile.x) for tile in tiles)
        return min(max(level, 1e-4), 1e6)

    @torch.no_grad()
    def restore(self, x: Tensor, whole: float | None = None) -> Tensor:
        x = self.checked(x)
        level = self.survey([Tile(x)]) if whole is None else whole
        height, width = x.shape[-2:]
        total = torch.zeros_like(x)
        for sample in range(self.samples):
            chance = torch.Generator().manual_seed(randomness.key("restore", sample))
            w = self.draws((1, self.channels, _PERIOD, _PERIOD), level, chance)
            w = w.repeat(1, 1, -(-height // _PERIOD), -(-width // _PERIOD))[..., :height, :width]
            total += self.clean(self.split(x, level, w.expand_as(x)).first)
        return total / self.samples
