"""Lightens dark photos after unpaired normal ones, by two discriminators and the photo's own features."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ipse import randomness
from ipse.errors import UserError
from ipse.losses.adversarial import (
    least_squares_discriminator,
    least_squares_generator,
    relativistic_discriminator,
    relativistic_generator,
)
from ipse.losses.perceptual import self_feature_preserving
from ipse.methods.restore import Restorer
from ipse.models.patch_discriminator import PatchDiscriminator
from ipse.models.perceptual import VGG
from ipse.training import Player, patches
from ipse.transforms.colour import luma


class EnlightenGAN(Restorer):
    """Adds light where a photo is dark, until a discriminator cannot tell it from photos of normal brightness.

        G(l) = l + A U(l, A),   A = 1 - luminance(l)
        L_G = RaLSGAN(D, whole photos) + LSGAN(D_local, crops) + SFP(l, G(l)) + SFP(crops)

    SFP is `losses.perceptual.self_feature_preserving`. features: "random" takes an untrained VGG16 of `feature_width`, as there are no
    weights to ship; "vgg16", as in the paper, those of ImageNet. The rate is constant for half of the steps and falls to 0. `attention` and `sfp` = 0
    are the paper's ablations.

    The paper: size 320, batch 32, and 200 passes over 914 dark photos, days on a processor. A photo looks 160 pixels around itself.

    Jiang et al., IEEE TIP 2021, arXiv:1906.06972
    """

    noise = "low light"
    fits = "all"
    wants = "photos of normal brightness, of other scenes"
    steps = 2000

    def __init__(
        self,
        channels: int = 3,
        *,
        attention: bool = True,
        sfp: float = 1.0,
        adversarial: float = 1.0,
        features: str = "random",
        feature_width: int = 16,
        crop: int = 32,
        crops: int = 5,
        width: int = 32,
        depth: int = 4,
        judges: int = 64,
        size: int = 96,
        batch: int = 4,
        lr: float = 1e-4,
    ):
        super().__init__(channels)
        multiple = 1 << depth
        if size % multiple or not 0 < crop <= size:
            raise UserError(
                f"enlightengan: size must be a multiple of {multiple}, and crop at most that, not {size} and {crop}"
            )
        self.sfp, self.adversarial, self.features, self.feature_width = sfp, adversarial, features, feature_width
        self.crop, self.crops, self.size, self.batch, self.lr, self.depth = crop, crops, size, batch, lr, depth
        self.generator = AttentionUNet(channels, width=width, depth=depth, attention=attention)
        self.whole = PatchDiscriminator(channels, width=judges, layers=5)
        self.local = PatchDiscriminator(channels, width=judges, layers=4)
        for module in self.modules():  # small weights as the authors' start with, so that G begins as the photo itself
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    @property
    def multiple(self) -> int:
        return 1 << self.depth

    @property
    def halo(self) -> int:
        return 10 * self.multiple

    def players(self, signals: Sequence[Tensor], like: Sequence[Tensor], seed: int, steps: int) -> Sequence[Player]:
        """signals: dark photos. like: photos of normal brightness."""
        if not len(signals) or not len(like):
            raise UserError("enlightengan learns from dark photos and from normal ones: give it both")
        phi = VGG(["5_1"], weights=self.features, width=self.feature_width, pools=3, seed=seed).to(
            next(self.parameters()).device
        )
        seen: dict[str, Tensor] = {}

        def photos(signals: Sequence[Tensor], name: str, step: int) -> Tensor:
            return 2 * patches(signals, self.size, self.batch, seed=seed, step=step, flips=True, name=name) - 1

        def generator(step: int) -> Tensor:
            dark, real = photos(signals, "dark", step), photos(like, "normal", step)
            fake = self.generator(dark)
            places = torch.Generator().manual_seed(randomness.key(seed, "crops", step))
            dark_crops, fake_crops, real_crops = self._crops([dark, fake, real], places)
            seen.update(real=real, fake=fake.detach(), real_crops=real_crops, fake_crops=fake_crops.detach())
            fools = relativistic_generator(self.whole(real), self.whole(fake)) + least_squares_generator(self.local(fake_crops))
            keeps = _kept(phi, dark, fake) + _kept(phi, dark_crops, fake_crops) if self.sfp else fake.new_zeros(())
            return self.adversarial * fools + self.sfp * keeps

        def judge(step: int) -> Tensor:
            return relativistic_discriminator(self.whole(seen["real"]), self.whole(seen["fake"]))

        def local_judge(step: int) -> Tensor:
            return least_squares_discriminator(self.local(seen["real_crops"]), self.local(seen["fake_crops"]))

        def falls(step: int) -> float:
            return min(1.0, 2 * (1 - step / steps))

        parts = {
            "generator": (self.generator, generator),
            "judge": (self.whole, judge),
            "local judge": (self.local, local_judge),
        }
        return [
            Player(module.parameters(), loss, lr=self.lr, betas=(0.5, 0.999), schedule=falls, name=name)
            for name, (module, loss) in parts.items()
        ]

    @torch.no_grad()
    def restore(self, x: Tensor, whole: None = None) -> Tensor:
        y: Tensor = self.generator(2 * self.checked(x) - 1)
        return ((y + 1) / 2).clamp(0, 1)

    def _crops(self, photos: Sequence[Tensor], places: torch.Generator) -> list[Tensor]:
        """Of each batch of photos the same `crops` squares, (crops B, C, crop, crop)."""
        room = photos[0].shape[-1] - self.crop + 1
        corners = torch.randint(room, (self.crops, 2), generator=places).tolist()
        return [torch.cat([x[..., i : i + self.crop, j : j + self.crop] for i, j in corners]) for x in photos]


class AttentionUNet(nn.Module):
    """A U-Net that adds to a photo where it is dark: (B, C, H, W) in [-1, 1] to the same, H and W multiples of 2^depth.

    The map of darkness A in [0, 1] is an input, and, max-pooled, multiplies the features at the bottom and every skip. The output looks at most
    10 x 2^depth pixels around itself.
    """

    def __init__(self, channels: int, *, width: int = 32, depth: int = 4, attention: bool = True):
        super().__init__()
        self.attention = attention
        widths = [width * 2**level for level in range(depth + 1)]
        self.first = nn.ModuleList(_one(a, b) for a, b in zip([channels + attention, *widths], widths, strict=False))
        self.second = nn.ModuleList(_one(a, a) for a in widths)
        self.narrow = nn.ModuleList(nn.Conv2d(b, a, 3, padding=1) for a, b in pairwise(widths))
        self.up = nn.ModuleList(nn.Sequential(_one(2 * a, a), _one(a, a, norm=i > 0)) for i, a in enumerate(widths[:-1]))
        self.last = nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        dark = darkness(x)
        maps = [dark]
        for _ in self.narrow:
            maps.append(F.max_pool2d(maps[-1], 2))
        y, skips = torch.cat([x, dark], 1) if self.attention else x, []
        for level, (first, second) in enumerate(zip(self.first, self.second, strict=True)):
            y = first(F.max_pool2d(y, 2) if level else y)
            y = second(y * maps[-1] if self.attention and level == len(self.narrow) else y)
            skips.append(y)
        for level in reversed(range(len(self.narrow))):
            wide = self.narrow[level](F.interpolate(y, scale_factor=2, mode="bilinear"))
            y = self.up[level](torch.cat([wide, skips[level] * maps[level] if self.attention else skips[level]], 1))
        added: Tensor = self.last(y)
        return x + (added * dark if self.attention else added)


def darkness(x: Tensor) -> Tensor:
    """A = 1 - luminance, (B, 1, H, W) in [0, 1], of photos (B, C, H, W) in [-1, 1]."""
    return 1 - luma((x + 1) / 2)


def _one(channels: int, out: int, norm: bool = True) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, padding=1), nn.LeakyReLU(0.2), nn.BatchNorm2d(out) if norm else nn.Identity()
    )


def _kept(phi: VGG, dark: Tensor, fake: Tensor) -> Tensor:
    return self_feature_preserving(phi((fake + 1) / 2)[0], phi((dark + 1) / 2)[0])
