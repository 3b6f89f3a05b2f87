"""Decoupled contrastive learning."""

from __future__ import annotations

from ipse.losses.contrastive import coupling, decoupled
from ipse.models import Encoder, mlp
from ipse.training import Batch, Method, Recipe, Step
from ipse.transforms import TwoViews


class DCL(Method):
    """Contrasts as SimCLR does, with the positive pair left out of the denominator, so that small batches and easy positives still give gradients.

    sigma weights the positives by their difficulty (DCLW; 0.5 in the paper). The logged `coupling` is the factor that InfoNCE would have put on the gradient.

    Yeh et al., ECCV 2022, arXiv:2110.06848
    """

    sees = TwoViews()
    recipe = Recipe(lr=1e-3, weight_decay=1e-4)

    def __init__(
        self, encoder: Encoder, *, temperature: float = 0.1, sigma: float | None = None, hidden: int = 2048, width: int = 128
    ):
        super().__init__(encoder)
        self.projector = mlp(encoder.dim, hidden, width, final_norm=True)
        self.temperature, self.sigma = temperature, sigma

    def loss(self, batch: Batch) -> Step:
        h = [self.encoder(x) for x in batch]
        z1, z2 = (self.projector(x) for x in h)
        terms = {"coupling": coupling(z1.detach(), z2.detach(), self.temperature).mean()}
        return Step(decoupled(z1, z2, self.temperature, self.sigma), z=(z1, z2), h=h, terms=terms)
