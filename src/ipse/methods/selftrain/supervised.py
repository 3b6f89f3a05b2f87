"""Labels alone."""

from __future__ import annotations

from ipse.losses.pseudo_labels import labelled
from ipse.models import Classifier
from ipse.training import Batch, Recipe, Step, Taught
from ipse.transforms import Weak


class Supervised(Taught):
    """Learns from weak views of the labelled samples and leaves the others alone: what self-training has to beat.

        L = CE(y, f(weak(x))), with labels smoothed by `smoothing`

    The baseline that Oliver et al. ask for, NeurIPS 2018, arXiv:1804.09170
    """

    sees = Weak(labelled=1.0)
    by_pixel = True
    recipe = Recipe(lr=1e-3, weight_decay=0.01)

    def __init__(self, model: Classifier, *, smoothing: float = 0.0):
        super().__init__(model)
        self.smoothing = smoothing

    def loss(self, batch: Batch) -> Step:
        (x,) = batch
        scores = self.model(x)
        return Step(labelled(scores, batch.y, batch.y >= 0, self.smoothing), logits=scores)
