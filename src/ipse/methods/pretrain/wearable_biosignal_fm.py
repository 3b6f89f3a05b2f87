"""Foundation models of wearable biosignals."""

from __future__ import annotations

from typing import ClassVar

from torch import nn
from torch.nn import functional as F

from ipse.losses.contrastive import info_nce
from ipse.losses.spread import koleo
from ipse.models import EMA, Encoder, mlp
from ipse.training import Batch, Method, Recipe, Step
from ipse.transforms import Look, SameGroup

_CASCADE = Look(
    changes={
        "crop": (1.0, 1.0),
        "cutout": 0.4,
        "magnitude_warp": 0.25,
        "noise": 0.25,
        "channel_permutation": 0.25,
        "time_warp": 0.15,
        "permutation": 0.0,
        "scaling": 0.0,
        "frequency_noise": 0.0,
    }
)


class WearableBiosignalFM(Method):
    """Finds another recording of the same person among those of other people, and keeps people apart.

        L = mean of both directions of InfoNCE(z, teacher's z) + spread KoLeo(z)

    The two views are of two different samples of one group, and no group is twice in a batch; data without groups gives two
    views of one sample. The teacher's weights are an exponential moving average with `decay`. Whoever embeds afterwards takes the
    mean over all recordings of a person. The views are those for pulse waves; how often each operation fires is not public in
    full and taken from memory.

    Abbaspourazad et al., ICLR 2024, arXiv:2312.05409
    """

    sees = SameGroup(2, _CASCADE)
    recipe = Recipe(lr=1e-3, weight_decay=0.0)
    modalities: ClassVar[tuple[str, ...]] = ("series",)

    def __init__(
        self,
        encoder: Encoder,
        *,
        temperature: float = 0.04,
        spread: float = 0.1,
        decay: float = 0.99,
        hidden: int = 1024,
        width: int = 128,
    ):
        super().__init__(encoder)
        self.projector = mlp(encoder.dim, hidden, width, norm=False, final_bias=True)
        self.teacher = EMA(nn.Sequential(encoder, self.projector))
        self.temperature, self.spread, self.decay = temperature, spread, decay

    def loss(self, batch: Batch) -> Step:
        h = [self.encoder(x) for x in batch]
        z1, z2 = (self.projector(x) for x in h)
        k1, k2 = (self.teacher(x) for x in batch)
        contrast = (info_nce(z1, k2, self.temperature) + info_nce(z2, k1, self.temperature)) / 2
        near = (koleo(z1) + koleo(z2)) / 2
        z = (F.normalize(z1, dim=1), F.normalize(z2, dim=1))
        return Step(contrast + self.spread * near, z=z, h=h, terms={"contrast": contrast, "koleo": near})

    def after_step(self, batch: Batch) -> None:
        self.teacher.update(nn.Sequential(self.encoder, self.projector), self.decay)
