"""MoCo v3."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch.nn import functional as F

from ipse.losses.contrastive import moco_contrast
from ipse.models import EMA, Encoder, mlp
from ipse.training import Batch, Method, Recipe, Step
from ipse.transforms import TwoViews


class MoCoV3(Method):
    """Finds the slowly moving teacher's embedding of the other view among those of the whole batch, for vision transformers.

    frozen_patches keeps the patch projection at its random start, which removes the gradient spikes that begin there. The teacher's decay rises
    from `decay` to 1 by a cosine; it moves before it is asked.

    Chen et al., ICCV 2021, arXiv:2104.02057
    """

    sees = TwoViews(asymmetric=True)
    recipe = Recipe(lr=1.5e-4, weight_decay=0.1, warmup=0.13)
    transformer = True

    def __init__(
        self,
        encoder: Encoder,
        *,
        temperature: float = 0.2,
        decay: float = 0.99,
        widths: Sequence[int] = (4096, 4096, 256),
        predictor: int = 4096,
        frozen_patches: bool = True,
    ):
        super().__init__(encoder)
        if frozen_patches:
            freeze_patches(encoder)
        self.projector = mlp(encoder.dim, *widths, final_norm=True)
        self.predictor = mlp(widths[-1], predictor, widths[-1], final_norm=True)
        self.teacher_encoder, self.teacher_projector = EMA(encoder), EMA(self.projector)
        self.temperature, self.decay = temperature, decay

    def loss(self, batch: Batch) -> Step:
        decay = 1 - (1 - self.decay) * (1 + math.cos(math.pi * batch.progress)) / 2
        self.teacher_encoder.update(self.encoder, decay)
        self.teacher_projector.update(self.projector, decay)
        h = [self.encoder(x) for x in batch]
        q1, q2 = (self.predictor(self.projector(x)) for x in h)
        k1, k2 = (self.teacher_projector(self.teacher_encoder(x)) for x in batch)
        loss = moco_contrast(q1, k2, self.temperature) + moco_contrast(q2, k1, self.temperature)
        return Step(loss, z=(F.normalize(q1, dim=1), F.normalize(q2, dim=1)), h=h)


def freeze_patches(encoder: Encoder) -> None:
    """Stops the learning of a transformer's patch projection, where the encoder has one."""
    for name, module in encoder.named_modules():
        if name.endswith(("patch_embedding", "patch_embed")):
            module.requires_grad_(False)
