"""Reconstructs under-sampled, noisy MRI by asking that more noise on the measurements leave the image unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ipse import randomness
from ipse.errors import UserError
from ipse.losses.reconstruction import complex_l1, normalized_l1_l2
from ipse.methods.restore import Restorer
from ipse.models.unet import UNet
from ipse.models.unrolled import Unrolled, on_complex
from ipse.training import Player
from ipse.transforms.kspace import acquired, add_noise, cartesian_mask, combine, measure, sensitivities, split


class Scan(NamedTuple):
    """Measurements y and coil maps, complex (B, coils, H, W), the mask (B, 1, H, W), and the scale (B,) by which y was divided."""

    y: Tensor
    mask: Tensor
    maps: Tensor
    scale: Tensor


class Noise2Recon(Restorer):
    """Learns from under-sampled scans, and from fully sampled ones, given as `like`, where there are any.

        L = L_rec + weight |f(y + U sigma (n1 + i n2)) - stop_grad f(y)|,   sigma ~ Uniform(noise)
        L_rec = |f(U F S x) - x|  with fully sampled scans x;  else SSDU's:  |U_Lambda F S f(y_Theta) - y_Lambda|, normalised l1 and l2

    noise: in units where the brightest 5 % of the zero-filled image begin at 1. held: the share of Lambda. Fully sampled scans are
    under-sampled by the masks of the others, or by random columns at `acceleration`. supervised_consistency: noise on them too.
    channels: how many coils; takes (B, 2 coils, H, W), the real and imaginary part of each. Maps come from the middle frequencies.

    net: the method is for any; "unrolled" has the form of the authors' framework, which takes hidden = 256.

    Desai et al., MRM 2023, arXiv:2110.00075
    """

    noise = "MRI with missing frequencies and white Gaussian noise on those acquired"
    fits = "all"
    takes = "kspace"
    welcomes = "fully sampled scans"
    steps = 2000

    def __init__(
        self,
        channels: int = 1,
        *,
        net: Literal["unrolled", "unet"] = "unrolled",
        weight: float = 0.1,
        sigma: tuple[float, float] = (0.2, 0.5),
        held: float = 0.4,
        acceleration: float = 4.0,
        supervised_consistency: bool = False,
        calibration: int = 24,
        unrolls: int = 5,
        blocks: int = 2,
        hidden: int = 64,
        depth: int = 4,
        batch: int = 4,
        lr: float = 1e-3,
    ):
        super().__init__(channels)
        if len(sigma) != 2 or not 0 <= sigma[0] <= sigma[1]:
            raise UserError(f"noise2recon: sigma is a range of two numbers, the smaller first, not {sigma}")
        if not 0 < held < 1:
            raise UserError(f"noise2recon: held is a share between 0 and 1, not {held:g}")
        if net not in ("unrolled", "unet"):
            raise UserError(f"noise2recon: net is unrolled or unet, not {net!r}")
        self.weight, self.sigma, self.held, self.acceleration = weight, (float(sigma[0]), float(sigma[1])), held, acceleration
        self.supervised_consistency, self.calibration, self.batch, self.lr = supervised_consistency, calibration, batch, lr
        self.net = (
            Unrolled(unrolls=unrolls, blocks=blocks, hidden=hidden)
            if net == "unrolled"
            else UNet(2, 2, width=hidden, depth=depth)
        )

    def players(self, signals: Sequence[Tensor], like: Sequence[Tensor], seed: int, steps: int) -> Sequence[Player]:
        """signals: under-sampled scans (1, 2 coils, H, W). like: fully sampled ones; without any it learns by SSDU."""
        if not len(signals):
            raise UserError("noise2recon learns from under-sampled scans: give it some")

        def loss(step: int) -> Tensor:
            chance = torch.Generator().manual_seed(randomness.key(seed, "noise2recon", step))
            under = self.scan(_picked(signals, self.batch, chance))
            if not len(like):
                return self.self_supervised(under, chance) + self.weight * self.consistency(under, chance)
            full = _picked(like, self.batch, chance)
            known, target = self.undersampled(full, under.mask, chance)
            total = complex_l1(self.image(known), target) + self.weight * self.consistency(under, chance)
            return total + self.weight * self.consistency(known, chance) if self.supervised_consistency else total

        return [Player(self.parameters(), loss, lr=self.lr)]

    def scan(self, x: Tensor, mask: Tensor | None = None) -> Scan:
        """What x (B, 2 coils, H, W) says, in units where the brightest 5 % of its zero-filled image begin at 1."""
        y = _complex(x)
        maps = sensitivities(y, self.calibration)
        mask = acquired(y) if mask is None else mask
        magnitudes = combine(y, mask, maps).abs().flatten(1)
        scale = magnitudes.quantile(0.95, dim=1)
        scale = torch.where(scale > 0, scale, magnitudes.amax(1))
        scale = torch.where(scale > 0, scale, torch.ones_like(scale))
        return Scan(mask * y / scale.view(-1, 1, 1, 1), mask, maps, scale)

    def image(self, scan: Scan) -> Tensor:
        """f(y): the complex image (B, H, W), in the units of the scan."""
        if isinstance(self.net, Unrolled):
            x: Tensor = self.net(scan.y, scan.mask, scan.maps)
            return x
        zero_filled = combine(scan.y, scan.mask, scan.maps)
        height, width = zero_filled.shape[-2:]
        multiple: int = self.net.multiple
        pad = (0, -width % multiple, 0, -height % multiple)
        return zero_filled + on_complex(self.net, F.pad(zero_filled, pad))[..., :height, :width]

    def undersampled(self, full: Tensor, masks: Tensor, chance: torch.Generator) -> tuple[Scan, Tensor]:
        """Fully sampled scans under a mask of the others, and their true images."""
        if masks.shape[-2:] == full.shape[-2:]:
            mask = masks[torch.randint(len(masks), (len(full),), generator=chance)]
        else:
            size = (full.shape[-2], full.shape[-1])
            mask = torch.cat([cartesian_mask(size, self.acceleration, generator=chance) for _ in full]).to(full.device)
        known = self.scan(full, mask)
        return known, combine(_complex(full), torch.ones_like(mask), known.maps) / known.scale.view(-1, 1, 1)

    def self_supervised(self, scan: Scan, chance: torch.Generator) -> Tensor:
        """SSDU: predicts from a part of the samples those that were left out."""
        theta, held = split(scan.mask, self.held, chance)
        x = self.image(scan._replace(y=theta * scan.y, mask=theta))
        return normalized_l1_l2(measure(x, held, scan.maps), held * scan.y)

    def consistency(self, scan: Scan, chance: torch.Generator) -> Tensor:
        """More noise on the measurements must leave the image as it is; the image without it is the target, without gradient."""
        low, high = self.sigma
        sigma = low + (high - low) * torch.rand(len(scan.y), generator=chance).to(scan.scale.device)
        with torch.no_grad():
            target = self.image(scan)
        return complex_l1(self.image(scan._replace(y=add_noise(scan.y, scan.mask, sigma, chance))), target)

    @torch.no_grad()
    def restore(self, x: Tensor, whole: None = None) -> Tensor:
        scan = self.scan(self.checked(x))
        return self.image(scan).abs()[:, None] * scan.scale.view(-1, 1, 1, 1)


def _complex(x: Tensor) -> Tensor:
    """(B, 2 coils, H, W) as complex (B, coils, H, W)."""
    parts = x.float().unflatten(1, (-1, 2))
    return torch.complex(parts[:, :, 0], parts[:, :, 1])


def _picked(signals: Sequence[Tensor], n: int, chance: torch.Generator) -> Tensor:
    """n of the signals at random; those of the first one's size, as they make one batch."""
    first, *others = (signals[i] for i in torch.randint(len(signals), (n,), generator=chance).tolist())
    return torch.cat([first, *(x for x in others if x.shape == first.shape)])
