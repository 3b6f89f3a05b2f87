"""New statistics for batch normalisation."""

from __future__ import annotations

from torch import Tensor, nn

from ipse.methods.adapt.adapter import Adapter
from ipse.methods.adapt.parts import use_batch_statistics


class BNAdapt(Adapter):
    """Normalises by the statistics of the batch at hand, in place of those of the source; no weight moves.

    prior: N, how many samples the statistics of the source count for beside those of the batch. The paper takes 0 for large
    batches, about 16 or more for small ones.

    Schneider et al., NeurIPS 2020, arXiv:2006.16971; Nado et al., 2020, arXiv:2006.10963
    """

    def __init__(self, model: nn.Module, *, prior: float = 0.0):
        super().__init__(model)
        if not use_batch_statistics(self.model, prior):
            self.notes.append("the model has no batch normalisation: bn-adapt answers as the unadapted model does")

    def adapt(self, x: Tensor) -> Tensor:
        return self.predict(x)
