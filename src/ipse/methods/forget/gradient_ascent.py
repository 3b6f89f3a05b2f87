"""Gradient ascent."""

from __future__ import annotations

from torch import Tensor

from ipse.methods.forget import supervision
from ipse.methods.forget.joint import Joint
from ipse.models import Classifier
from ipse.training import Batch


class GradientAscent(Joint):
    """Climbs the loss of the samples to forget. The baseline that needs nothing else, and knows no end.

    keep: where samples to keep are given, their loss is descended at the same time.

    Golatkar, Achille, Soatto, CVPR 2020, arXiv:1911.04933
    """

    needs = frozenset({"labels"})
    says = frozenset({"classes", "numbers"})

    def __init__(
        self,
        *,
        epochs: float = 5,
        lr: float = 1e-3,
        momentum: float = 0.9,
        batch_size: int = 128,
        weight: float = 1.0,
        keep: bool = False,
    ):
        super().__init__(epochs=epochs, lr=lr, momentum=momentum, batch_size=batch_size, weight=weight)
        self.keeps = keep

    def each(self, model: Classifier, h: Tensor, z: Tensor, batch: Batch) -> Tensor:
        return -supervision(model, z, batch.y)
