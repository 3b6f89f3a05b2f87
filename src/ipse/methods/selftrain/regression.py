"""Regression."""

from __future__ import annotations

from ipse.errors import UserError
from ipse.models import Classifier, Regressor
from ipse.training import Batch, Recipe, Step, Taught, seeded
from ipse.transforms import Weak


class Regression(Taught):
    """Learns the numbers that the labels are by their absolute error, in units of the deviation of the targets' values.

        L = mean over the labelled samples of the batch of |f(x) - y| / scale

    What is kept is a `Regressor`. Pictures are not mirrored or moved more than weakly, for that may change what is measured.

    Yang, Zha, Chen, Wang, Katabi, ICML 2021, arXiv:2102.09554
    """

    sees = Weak(labelled=1.0)
    recipe = Recipe(lr=1e-3, weight_decay=1e-4)

    def __init__(self, model: Classifier):
        with seeded(0):
            super().__init__(Regressor(model.encoder, model.classes))

    def loss(self, batch: Batch) -> Step:
        assert isinstance(self.model, Regressor)
        x, has = batch.views[0].x, batch.y >= 0
        if not has.any():
            raise UserError("a regression learns from labels, and this batch has none")
        h = self.model.features(x)
        z = self.model.head(h)[:, 0]
        target = (self.model.values[batch.y.clamp(min=0)] - self.model.mean) / self.model.scale
        return Step((z - target).abs()[has].mean(), h=(h,))
