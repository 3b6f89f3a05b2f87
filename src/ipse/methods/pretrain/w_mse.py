"""Whitening mean squared error."""

from __future__ import annotations

from ipse.distributed import gather
from ipse.errors import UserError
from ipse.losses.whitening import w_mse
from ipse.models import Encoder, mlp
from ipse.training import Batch, Method, Recipe, Step
from ipse.transforms import Views


class WMSE(Method):
    """Pulls the views of a sample together after whitening the batch, which rules collapse out without negatives.

    views: 2 or 4 of each sample. size: samples whitened together, at least twice `width`. partitions: random divisions of the batch per step.
    normalize: compare directions only. eps: shrinkage of the covariance towards the identity.

    Ermolov et al., ICML 2021, arXiv:2007.06346
    """

    sees = Views(2)
    recipe = Recipe(lr=1e-3, weight_decay=1e-6)

    def __init__(
        self,
        encoder: Encoder,
        *,
        views: int = 2,
        size: int = 128,
        partitions: int = 1,
        width: int = 64,
        hidden: int = 1024,
        normalize: bool = True,
        eps: float = 0.0,
    ):
        super().__init__(encoder)
        self.sees = Views(views)
        self.projector = mlp(encoder.dim, hidden, width, final_bias=True)
        self.size, self.width, self.partitions, self.normalize, self.eps = size, width, partitions, normalize, eps

    def check(self, batch_size: int) -> None:
        super().check(batch_size)
        if self.size > batch_size:
            raise UserError(
                f"w-mse whitens {self.size} samples together, more than a batch of {batch_size}: --set size={batch_size} and a smaller width"
            )
        if self.size <= self.width:
            raise UserError(
                f"w-mse needs more samples than features to whiten: size {self.size}, width {self.width}; the paper takes twice as many"
            )

    def loss(self, batch: Batch) -> Step:
        h = [self.encoder(x) for x in batch]
        z = [self.projector(x) for x in h]
        orders = [gather(batch.uniform(f"partition {i}", 1)[:, 0]).argsort() for i in range(self.partitions)]
        losses = [w_mse(z, self.size, self.eps, order, self.normalize) for order in orders]
        return Step(sum(losses[1:], losses[0]) / len(losses), z=z, h=h)
