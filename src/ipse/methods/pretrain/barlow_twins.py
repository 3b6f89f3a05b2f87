"""Barlow Twins."""

from __future__ import annotations

from collections.abc import Sequence

from ipse.losses.redundancy import barlow_twins
from ipse.models import Encoder, mlp
from ipse.training import Batch, Method, Recipe, Step
from ipse.transforms import TwoViews


class BarlowTwins(Method):
    """Makes the cross-correlation of two views' embeddings the identity.

    The paper's projector is 8192-8192-8192, trained with LARS (lr 0.2, loss scaled by 0.024) at batch 2048.

    Zbontar et al., ICML 2021, arXiv:2103.03230
    """

    sees = TwoViews(asymmetric=True)
    recipe = Recipe(lr=1e-3, weight_decay=1e-4)

    def __init__(self, encoder: Encoder, *, redundancy: float = 5e-3, widths: Sequence[int] = (2048, 2048, 2048)):
        super().__init__(encoder)
        self.projector = mlp(encoder.dim, *widths)
        self.redundancy = redundancy

    def loss(self, batch: Batch) -> Step:
        h = [self.encoder(x) for x in batch]
        z1, z2 = (self.projector(x) for x in h)
        return Step(barlow_twins(z1, z2, self.redundancy), z=(z1, z2), h=h)
