"""SimCLR."""

from __future__ import annotations

from ipse.losses.contrastive import nt_xent
from ipse.models import Encoder, mlp
from ipse.training import Batch, Method, Recipe, Step
from ipse.transforms import TwoViews


class SimCLR(Method):
    """Tells the other view of the same sample from all other samples of the batch.

    Chen et al., ICML 2020, arXiv:2002.05709. The paper trains with LARS (lr 0.3) at batch 4096; AdamW learns faster in short runs. As in
    its code, the projector ends in batch normalisation: without it short runs learn much less.
    """

    sees = TwoViews()
    recipe = Recipe(lr=1e-3, weight_decay=1e-4)

    def __init__(self, encoder: Encoder, *, temperature: float = 0.2, hidden: int = 2048, width: int = 128):
        super().__init__(encoder)
        self.projector = mlp(encoder.dim, hidden, width, final_norm=True)
        self.temperature = temperature

    def loss(self, batch: Batch) -> Step:
        h = [self.encoder(x) for x in batch]
        z1, z2 = (self.projector(x) for x in h)
        return Step(nt_xent(z1, z2, self.temperature), z=(z1, z2), h=h)
