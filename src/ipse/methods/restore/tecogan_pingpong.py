"""Enlarges video frame by frame, learning on clips played forwards and back so that nothing builds up over time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ipse import randomness
from ipse.errors import UserError
from ipse.losses.adversarial import logistic_discriminator, logistic_generator
from ipse.losses.perceptual import cosine_distance
from ipse.losses.video import palindrome, ping_pong
from ipse.methods.restore import Restorer
from ipse.models.flow import smooth
from ipse.models.perceptual import VGG
from ipse.models.recurrent_video import FrameRecurrent, TripletDiscriminator, triplets
from ipse.models.warp import backward_warp
from ipse.training import Player

_LAYERS = ("2_2", "3_3", "4_3", "5_3")


class TecoGAN(Restorer):
    """A recurrent generator against a discriminator of triplets, trained on palindromes a_1, ..., a_n, ..., a_1.

        L_G = |g - b|^2 + warp sum |a_t - W(a_{t-1}, v_t)|^2 + pingpong L_pp + adversarial E[-log D(g)] + perceptual (1 - cos phi) + layer |D_l(b) - D_l(g)|

    L_pp is `losses.video.ping_pong`. Learns from sharp clips, blurred and made `scale` times smaller: those given as `like`, else the clips
    themselves, at a quarter of their size. For the first `warm` share of the steps there is no discriminator, as the paper starts from a
    trained net; it pauses while it is too strong (`balance`). detach: no gradient across every so many frames, which saves memory; 0 never.

    Of the authors: 16 blocks, crops of 32, batch 4, 500,000 steps. phi is VGG19's there; features: "random" is an untrained VGG16 of `feature_width`,
    "vgg16" ImageNet's. layer: near what their hard-coded norms come to. This is their video super-resolution, not the unpaired translation.

    Chu et al., ACM TOG 2020, arXiv:1811.09393
    """

    noise = "video of low resolution"
    fits = "all"
    takes = "frames"
    welcomes = "sharp clips"
    steps = 2000

    def __init__(
        self,
        channels: int = 3,
        *,
        scale: int = 4,
        pingpong: float = 0.5,
        adversarial: float = 0.01,
        content: float = 1.0,
        warp: float = 1.0,
        perceptual: float = 0.2,
        layer: float = 0.1,
        balance: float = 0.4,
        warm: float = 0.5,
        detach: int = 0,
        blur: float = 1.5,
        frames: int = 10,
        crop: int = 32,
        batch: int = 1,
        blocks: int = 16,
        width: int = 64,
        flow_width: int = 32,
        judges: int = 64,
        features: str = "random",
        feature_width: int = 16,
        lr: float = 5e-5,
    ):
        super().__init__(channels)
        if frames < 2:
            raise UserError(f"tecogan-pingpong: frames must be at least 2, not {frames}")
        if not 0 <= warm <= 1:
            raise UserError(f"tecogan-pingpong: warm is a share from 0 to 1, not {warm:g}")
        self.scale, self.pingpong, self.adversarial, self.content, self.warp = scale, pingpong, adversarial, content, warp
        self.perceptual, self.layer, self.balance, self.warm = perceptual, layer, balance, warm
        self.detach, self.blur = detach, blur
        self.frames, self.crop, self.batch, self.lr = frames, crop, batch, lr
        self.features, self.feature_width = features, feature_width
        self.generator = FrameRecurrent(channels, scale=scale, blocks=blocks, width=width, flow_width=flow_width)
        self.judge = TripletDiscriminator(channels, width=judges)

    def players(self, signals: Sequence[Tensor], like: Sequence[Tensor], seed: int, steps: int) -> Sequence[Player]:
        """signals: the clips to restore. like: sharp ones, from which it learns instead."""
        sharp = like if len(like) else signals
        phi = VGG(_LAYERS, weights=self.features, width=self.feature_width, seed=seed).to(next(self.parameters()).device)
        warm, seen, strong = round(self.warm * steps), {}, 0.0

        def generator(step: int) -> Tensor:
            b: Tensor = palindrome(self.clips(sharp, seed, step))
            a = self.degraded(b)
            flows = self.generator.flows(a)
            g = self.generator(a, flows, self.detach)
            loss: Tensor = self.content * (g - b).square().sum(2).mean() + self.pingpong * ping_pong(g)
            moved = backward_warp(a[:, :-1].flatten(0, 1), flows.flatten(0, 1)).unflatten(0, (len(a), -1))
            loss = loss + self.warp * (a[:, 1:] - moved).square().sum(2).mean()
            if self.perceptual:
                loss = loss + self.perceptual * cosine_distance(
                    phi(g.flatten(0, 1)), [f.detach() for f in phi(b.flatten(0, 1))]
                )
            if step < warm or not self.adversarial:
                return loss
            seen["real"], fake = self.seen_triplets(a, b, g, flows)
            seen["fake"] = fake.detach()
            (_, known), (score, made) = self.judge(seen["real"]), self.judge(fake)
            apart = torch.stack([F.l1_loss(f, r.detach()) for f, r in zip(made, known, strict=True)]).sum()
            return loss + self.adversarial * logistic_generator(score) + self.layer * apart

        def judge(step: int) -> Tensor | None:
            nonlocal strong
            if step < warm or not self.adversarial:
                return None
            (real, _), (fake, _) = self.judge(seen["real"]), self.judge(seen["fake"])
            # How much more a made clip costs the generator than a real one costs the discriminator, followed slowly.
            lead = float(logistic_generator(fake.detach()) - logistic_generator(real.detach()))
            strong = 0.99 * strong + 0.01 * lead
            return logistic_discriminator(real, fake) if strong < self.balance else None

        return [
            Player(self.generator.parameters(), generator, lr=self.lr, name="generator"),
            Player(self.judge.parameters(), judge, lr=self.lr, name="judge"),
        ]

    def clips(self, sharp: Sequence[Tensor], seed: int, step: int) -> Tensor:
        """Random parts (batch, n, C, crop scale, crop scale) of sharp clips; short or small clips give what they have, if all do."""
        chance = torch.Generator().manual_seed(randomness.key(seed, "clips", step))
        whole = [sharp[i] for i in torch.randint(len(sharp), (self.batch,), generator=chance).tolist()]
        n = min(self.frames, *(clip.shape[1] for clip in whole))
        if n < 2:
            raise UserError("tecogan-pingpong learns from motion: a clip must have at least 2 frames")
        size = [min(self.crop, *(clip.shape[d] // self.scale for clip in whole)) * self.scale for d in (-2, -1)]
        if 0 in size:
            raise UserError(
                f"a clip is smaller than {self.scale} x {self.scale} pixels, and is to be made {self.scale} times smaller"
            )
        parts = []
        for clip in whole:
            room = (clip.shape[1] - n, clip.shape[-2] - size[0], clip.shape[-1] - size[1])
            t, i, j = (int(torch.randint(most + 1, (), generator=chance)) for most in room)
            parts.append(clip[:, t : t + n, :, i : i + size[0], j : j + size[1]])
        return torch.cat(parts)

    def degraded(self, b: Tensor) -> Tensor:
        """What a camera of fewer pixels sees: blurred by a Gaussian of sigma `blur`, and every `scale`-th pixel."""
        if self.scale == 1:
            return b
        x = smooth(b.flatten(0, 1), self.blur, max(1, round(3 * self.blur)))
        # In the middle of each square of scale x scale pixels, where the bicubic enlargement looks for it.
        x = F.avg_pool2d(x[..., self.scale // 2 - 1 :, self.scale // 2 - 1 :], 2, stride=self.scale)
        low: Tensor = x.unflatten(0, b.shape[:2])
        return low

    def seen_triplets(self, a: Tensor, b: Tensor, g: Tensor, flows: Tensor) -> tuple[Tensor, Tensor]:
        """The triplets of real and of made frames, moved by the same flows, through which no gradient goes."""
        n = a.shape[1] // 3
        with torch.no_grad():
            after = self.generator.flows(a, backwards=True)
            pair = [f[:, i : 3 * n : 3].flatten(0, 1) for i, f in ((0, flows), (1, after))]
            before, after = (self.generator.enlarged(f).unflatten(0, (len(a), n)) for f in pair)
        return triplets(a, b, before, after), triplets(a, g, before, after)

    @torch.no_grad()
    def restore(self, x: Tensor, whole: None = None) -> Tensor:
        made: Tensor = self.generator(self.checked(x))
        return made.clamp(0, 1)
