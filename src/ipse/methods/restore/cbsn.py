"""A net with and without its centre pixel: blind it learns from pixels far apart, open it keeps the detail that blind ones lose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import lcm
from typing import NamedTuple

import torch
from torch import Tensor

from ipse import randomness
from ipse.errors import UserError
from ipse.losses.restoration_pixels import Terms, downsampled_invariance
from ipse.methods.restore import Restorer, Tile
from ipse.models.blind_spot import BlindSpotNet
from ipse.training import Player, patches
from ipse.transforms.reflect import reflected
from ipse.transforms.subsample import batch_to_space, pick, random_cells, space_to_batch

_BORDER = 32


class Standard(NamedTuple):
    """The mean and the standard deviation (B, C, 1, 1) of each colour."""

    mean: Tensor
    std: Tensor


class CBSN(Restorer):
    """One net, blind on sub-pictures of every 5th pixel, where noise is white, and open on the whole, where it must agree with itself.

        L = |B2S(F(S2B_5 x, blind)) - x| + w (|F(x) - x| + weight |S F(x) - stop_grad F(S x, blind)|),   restored = F(x)

    S picks one random pixel of every 2x2. w rises from 0 to 1 in the first `ramp` of the steps, as an open net that is asked too early
    learns the identity. Patches and pictures are standardised, each colour by itself. The learning rate halves every fifth of
    the steps, of which the paper takes 500,000 with a width of 128: for a processor, width=32 and modules=3 are a fair start.

    Jang et al., ICCV 2023, arXiv:2304.09507
    """

    noise = "noise of mean 0 that is correlated between pixels less than 5 apart, as that of cameras after demosaicing, or not at all"
    fits = "all"
    steps = 5000

    def __init__(
        self,
        channels: int = 3,
        *,
        stride: int = 5,
        invariance_stride: int = 2,
        weight: float = 2.0,
        ramp: float = 0.4,
        width: int = 128,
        modules: int = 9,
        patch: int = 120,
        batch: int = 4,
        lr: float = 1e-4,
    ):
        super().__init__(channels)
        if stride < 1 or invariance_stride < 1:
            raise UserError(f"cbsn: strides must be at least 1, not {stride} and {invariance_stride}")
        if patch % lcm(stride, invariance_stride):
            raise UserError(
                f"cbsn: patch must be a multiple of {lcm(stride, invariance_stride)}, as both strides divide it; not {patch}"
            )
        if not 0 <= ramp <= 1:
            raise UserError(f"cbsn: ramp is a share of the steps, from 0 to 1, not {ramp:g}")
        self.stride, self.invariance_stride, self.weight, self.ramp = stride, invariance_stride, weight, ramp
        self.patch, self.batch, self.lr = patch, batch, lr
        self.net = BlindSpotNet(channels, channels, width=width, modules=modules)

    @property
    def halo(self) -> int:
        return self.net.radius

    def players(self, signals: Sequence[Tensor], like: Sequence[Tensor], seed: int, steps: int) -> Sequence[Player]:

        def loss(step: int) -> Tensor:
            x = patches(signals, self.patch, self.batch, seed=seed, step=step, flips=True)
            standard = _standard(x)
            terms = self.terms((x - standard.mean) / standard.std, randomness.key(seed, "cells", step))
            ramp = min(step / max(self.ramp * steps, 1), 1.0)
            return terms.blind + ramp * (terms.open + self.weight * terms.invariance)

        return [Player(self.parameters(), loss, lr=self.lr, schedule=lambda step: 0.5 ** (5 * step // steps))]

    def terms(self, x: Tensor, key: int) -> Terms:
        """The parts of the loss of standardised patches x (B, C, patch, patch); `key` says which pixels are picked."""
        blind = batch_to_space(self.net(space_to_batch(x, self.stride), blind=True), self.stride)
        seen, cells = self.net(x), random_cells(tuple(x.shape), self.invariance_stride, key)
        with torch.no_grad():
            small = self.net(pick(x, cells, self.invariance_stride), blind=True)
        return downsampled_invariance(x, blind, seen, pick(seen, cells, self.invariance_stride), small)

    @torch.no_grad()
    def survey(self, tiles: Iterable[Tile]) -> Standard:
        count, total, squares = 0, torch.zeros(()), torch.zeros(())
        for tile in tiles:
            own = tile.own(tile.x).double()
            count += own[0, 0].numel()
            total = total + own.sum((2, 3), keepdim=True)
            squares = squares + own.square().sum((2, 3), keepdim=True)
        mean = total / count
        return Standard(mean.float(), (squares / count - mean**2).clamp_min(1 / count).sqrt().float())

    @torch.no_grad()
    def restore(self, x: Tensor, whole: Standard | None = None) -> Tensor:
        x = self.checked(x)
        mean, std = self.survey([Tile(x)]) if whole is None else whole
        # Reflected borders, as zeros were never seen there: the border of a patch is far from most of its pixels.
        y: Tensor = self.net(reflected((x - mean) / std, _BORDER, _BORDER, _BORDER, _BORDER))
        return y[..., _BORDER:-_BORDER, _BORDER:-_BORDER] * std + mean


def _standard(x: Tensor) -> Standard:
    mean = x.mean((2, 3), keepdim=True)
    return Standard(mean, (x - mean).square().mean((2, 3), keepdim=True).sqrt().clamp_min(x[0, 0].numel() ** -0.5))
