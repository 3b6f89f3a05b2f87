"""NT-Xent with an additive margin."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ipse import randomness
from ipse.distributed import gather
from ipse.losses.margin import additive_margin_nt_xent
from ipse.losses.queue import queue_contrast
from ipse.models import EMA, Encoder, mlp
from ipse.training import Batch, Method, Recipe, Step
from ipse.transforms import Look, Sees


class NTXentAM(Method):
    """Finds the other crop of an utterance among those of all others, where it must win by a margin of cosine similarity.

    The crops of an utterance do not overlap: one is of its first half, the other of its second. Of other data they are any crops.

    symmetric: crops of both kinds are anchors and negatives; otherwise the first are found among the second.  queue: instead of the
    batch, so many earlier embeddings of each view by a slowly moving teacher are the negatives, as in MoCo; its decay is `decay`.
    margin_warmup: the share of the run in which the margin rises from 0 by half a cosine.

    Lepage & Dehak, Odyssey 2024, arXiv:2404.14913
    """

    sees = Sees(tuple(Look(changes={"crop": (0.3, 0.5), "audio.part": half}) for half in ((0.0, 0.5), (0.5, 1.0))))
    recipe = Recipe(lr=1e-3, weight_decay=1e-4)
    queues: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        margin: float = 0.1,
        temperature: float = 0.03,
        symmetric: bool = True,
        margin_warmup: float = 0.0,
        queue: int = 0,
        decay: float = 0.999,
        hidden: int = 2048,
        width: int = 256,
    ):
        super().__init__(encoder)
        self.projector = mlp(encoder.dim, hidden, width, norm=False, final_bias=True)
        self.margin, self.temperature, self.symmetric = margin, temperature, symmetric
        self.margin_warmup, self.queue, self.decay = margin_warmup, queue, decay
        if queue:
            self.teacher = EMA(nn.Sequential(encoder, self.projector))
            start = randomness.normal(randomness.key("queue"), torch.arange(2 * queue), width).view(2, queue, width)
            self.register_buffer("queues", F.normalize(start, dim=2))
            self._keys: list[Tensor] = []

    def loss(self, batch: Batch) -> Step:
        h = [self.encoder(x) for x in batch]
        z1, z2 = (self.projector(x) for x in h)
        margin = self.margin * risen_by_cosine(batch.progress, self.margin_warmup)
        return Step(self.compare(batch, z1, z2, margin), z=(F.normalize(z1, dim=1), F.normalize(z2, dim=1)), h=h)

    def compare(self, batch: Batch, z1: Tensor, z2: Tensor, margin: float) -> Tensor:
        """The loss of two views' embeddings (B, D): against each other, or against the teacher's with its queues."""
        if not self.queue:
            return additive_margin_nt_xent(z1, z2, self.temperature, margin, self.symmetric)
        self._keys = [F.normalize(self.teacher(x).float(), dim=1) for x in batch]
        first = queue_contrast(z1, self._keys[1], self.queues[1], self.temperature, margin)
        if not self.symmetric:
            return first
        return (first + queue_contrast(z2, self._keys[0], self.queues[0], self.temperature, margin)) / 2

    @torch.no_grad()
    def after_step(self, batch: Batch) -> None:
        if not self.queue:
            return
        newest = torch.stack([gather(keys) for keys in self._keys])
        self.queues.copy_(torch.cat([newest, self.queues], dim=1)[:, : self.queue])
        self.teacher.update(nn.Sequential(self.encoder, self.projector), self.decay)


def risen_by_cosine(progress: float, warmup: float) -> float:
    """From 0 to 1 by half a cosine in the share `warmup` of a run, 1 from there on.

    >>> risen_by_cosine(0.0, 0.5), round(risen_by_cosine(0.25, 0.5), 4), risen_by_cosine(0.5, 0.5), risen_by_cosine(0.0, 0.0)
    (0.0, 0.5, 1.0, 1.0)
    """
    return (1 - math.cos(math.pi * min(1.0, progress / warmup))) / 2 if warmup else 1.0
