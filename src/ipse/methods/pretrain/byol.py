"""Bootstrap your own latent."""

from __future__ import annotations

import math

from torch import nn
from torch.nn import functional as F

from ipse.losses.alignment import byol
from ipse.models import EMA, Encoder, mlp
from ipse.training import Batch, Method, Recipe, Step
from ipse.transforms import TwoViews


class BYOL(Method):
    """Predicts a slowly moving teacher's projection of another view, without negatives.

    One teacher per extra view: teacher k compares the first view with view k + 1, both ways. Plain BYOL has two views and so one teacher. Its decay
    rises from `decay` to 1 by a cosine.

    Grill et al., NeurIPS 2020, arXiv:2006.07733
    """

    sees = TwoViews(asymmetric=True)
    recipe = Recipe(lr=1e-3, weight_decay=1e-4)

    def __init__(self, encoder: Encoder, *, decay: float = 0.99, hidden: int = 4096, width: int = 256):
        super().__init__(encoder)
        self.projector = mlp(encoder.dim, hidden, width)
        self.predictor = mlp(width, hidden, width)
        student = nn.Sequential(encoder, self.projector)
        self.teachers = nn.ModuleList(EMA(student) for _ in range(len(self.sees.looks) - 1))
        self.decay = decay

    def loss(self, batch: Batch) -> Step:
        views = list(batch)
        h = [self.encoder(x) for x in views]
        p = [self.predictor(self.projector(x)) for x in h]
        losses = [
            byol(p[0], teacher(view)) + byol(p[i], teacher(views[0]))
            for i, (teacher, view) in enumerate(zip(self.teachers, views[1:], strict=True), start=1)
        ]
        return Step(sum(losses[1:], losses[0]) / len(losses), z=[F.normalize(x, dim=1) for x in p], h=h)

    def after_step(self, batch: Batch) -> None:
        decay = 1 - (1 - self.decay) * (1 + math.cos(math.pi * batch.progress)) / 2
        teacher = self.teachers[batch.step % len(self.teachers)]
        teacher.update(nn.Sequential(self.encoder, self.projector), decay)  # type: ignore[operator]
