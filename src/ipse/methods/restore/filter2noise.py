"""Learns the widths of two bilateral filters from one noisy picture; they can be seen, changed and used again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ipse.errors import UserError
from ipse.losses.restoration_pixels import half_resolution_agreement
from ipse.methods.restore import Restorer, sigma_maps
from ipse.models.bilateral import BilateralStages, Filtered
from ipse.training import Player, patches
from ipse.transforms.reflect import to_multiple
from ipse.transforms.subsample import diagonals, local_shuffle


class Filter2Noise(Restorer):
    """Filters two half-size pictures made of the noisy one, pixels shuffled, so that they agree with each other and with the filtered whole.

        s_i = F(shuffle(D_i(y))), e_i = D_i(F(y)):  L = 1/3 (|s1 - s2| + |s1 - e1| + |s2 - e2| + |e1 - e2|) + edges ||G * y| - |G * F(y)||

    F is all that there is to learn: sigma_x and sigma_y (pixels) and sigma_r (values) of every 8x8 patch, by a few thousand weights.

    keep: a .npy or .png to write these widths to. sigmas: such a file, changed at will, to filter with instead; nothing is learned then.
    smoother: multiplies every sigma_r. edges: theirs, for slices of CT; much noise that is correlated may stay with it. From 20.5 dB of one
    64x64 crop of a photo, sigma 0.1 over 3x3 pixels, we come to 20.7, their code to 21.1, with edges=35 to 28.7 and 28.3.

    Ours: pictures of more than `crop` pixels a side are learned from random parts of that size, as a step takes in the whole; the learning rate
    follows PyTorch's one-cycle policy, the momentum stays.

    Sun et al., 2025, arXiv:2504.13519
    """

    noise = "noise of mean 0 in a single picture, independent between pixels or correlated to the next one, as in low-dose CT"
    fits = "each"
    later = ("keep", "smoother")
    steps = 500

    def __init__(
        self,
        channels: int = 3,
        *,
        edges: float = 350.0,
        stages: int = 2,
        patch: int = 8,
        most: float = 6.0,
        crop: int = 256,
        lr: float = 1e-3,
        weight_decay: float = 0.01,
        sigmas: str | None = None,
        keep: str | None = None,
        smoother: float = 1.0,
    ):
        super().__init__(channels)
        if patch < 2 or crop < 2 * patch:
            raise UserError(f"filter2noise: patch is at least 2 and crop at least twice that, not {patch} and {crop}")
        if not smoother > 0:
            raise UserError(f"filter2noise: smoother must be more than 0, not {smoother:g}")
        if keep is not None and Path(keep).suffix not in (".npy", ".png"):
            raise UserError(f"filter2noise: widths are kept in a .npy or a .png, not in {keep}")
        self.edges, self.most, self.crop, self.lr, self.weight_decay = edges, most, crop, lr, weight_decay
        self.keep, self.smoother = keep, smoother
        self.filter = BilateralStages(channels, stages=stages, patch=patch, most=most)
        self.given = None if sigmas is None else torch.from_numpy(sigma_maps.read(Path(sigmas), stages, most)).clamp_min(1e-6)

    @property
    def multiple(self) -> int:
        return 2 * self.filter.patch

    def players(self, signals: Sequence[Tensor], like: Sequence[Tensor], seed: int, steps: int) -> Sequence[Player]:
        if self.given is not None:
            return []
        size = self.crop // self.multiple * self.multiple

        def loss(step: int) -> Tensor:
            y = self.checked(signals[step % len(signals)])
            if max(y.shape[-2:]) > self.crop:
                return self.loss(patches([y], size, 1, seed=seed, step=step))
            return self.loss(to_multiple(y, self.multiple))

        def cycle(step: int) -> float:
            return one_cycle(step / max(steps - 1, 1))

        return [Player(self.parameters(), loss, lr=self.lr, weight_decay=self.weight_decay, schedule=cycle)]

    def loss(self, y: Tensor) -> Tensor:
        """The loss of a picture y (B, C, H, W), whose sides are multiples of twice the patch."""
        first, second = (self.filter(local_shuffle(half)).x for half in diagonals(y))
        return half_resolution_agreement(y, self.filter(y).x, first, second, self.edges)

    @torch.no_grad()
    def filtered(self, x: Tensor) -> Filtered:
        """The restored picture, and the widths that did it: predicted or given, and `smoother`."""
        if self.given is None:
            predicted = self.filter(x)
            return predicted if self.smoother == 1 else self.filter(x, [self._smoothed(sigmas) for sigmas in predicted.sigmas])
        expected = tuple(n // self.filter.patch for n in x.shape[-2:])
        if tuple(self.given.shape[-2:]) != expected:
            raise UserError(
                f"filter2noise: this picture takes widths of {expected} patches, those given are of {tuple(self.given.shape[-2:])}"
            )
        return self.filter(x, [self._smoothed(sigmas) for sigmas in self.given[:, None].expand(-1, len(x), -1, -1, -1)])

    @torch.no_grad()
    def restore(self, x: Tensor, whole: None = None) -> Tensor:
        y = self.filtered(self.checked(x))
        if self.keep is not None:
            sigma_maps.write(torch.stack([s[0] for s in y.sigmas]).cpu().numpy(), Path(self.keep), self.most)
        return y.x

    def _smoothed(self, sigmas: Tensor) -> Tensor:
        return sigmas * torch.tensor([1.0, 1.0, self.smoother]).to(sigmas)[:, None, None]


def one_cycle(progress: float, warm: float = 0.3, first: float = 1 / 25, last: float = 1 / 25e4) -> float:
    """The factor of the highest learning rate: up from `first` in the share `warm` of all steps, then down to `last`, by cosines.

    Smith & Topin, 2019, arXiv:1708.07120, with PyTorch's numbers
    """
    start, end, share = (first, 1.0, progress / warm) if progress < warm else (1.0, last, (progress - warm) / (1 - warm))
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
