"""DIET: the index of a sample is its label."""

from __future__ import annotations

from torch import nn

from ipse.data import Samples
from ipse.losses.instance import index_cross_entropy
from ipse.models import Encoder
from ipse.training import Batch, Method, Recipe, Step
from ipse.transforms import Look, Sees


class DIET(Method):
    """Predicts which sample of the data a strongly changed view shows, with a linear layer of one row per sample and heavy label smoothing.

    Ibrahim et al., 2024, arXiv:2406.10743; first in arXiv:2302.10260
    """

    sees = Sees((Look(changes={"cutout": 0.25}),))
    recipe = Recipe(lr=1e-3, weight_decay=0.05)

    def __init__(self, encoder: Encoder, *, smoothing: float = 0.8):
        super().__init__(encoder)
        self.smoothing = smoothing

    def prepare(self, samples: Samples) -> None:
        self.rows = nn.Linear(self.encoder.dim, len(samples), bias=False)

    def loss(self, batch: Batch) -> Step:
        (x,) = batch
        h = self.encoder(x)
        logits = self.rows(h)
        return Step(index_cross_entropy(logits, batch.index, self.smoothing), z=(h,), h=(h,), logits=logits)
