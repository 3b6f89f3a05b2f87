"""The model as it is."""

from __future__ import annotations

from torch import Tensor, nn

from ipse.methods.adapt.adapter import Adapter


class Source(Adapter):
    """Answers as the unadapted model does, which every other method has to beat."""

    def __init__(self, model: nn.Module):
        super().__init__(model)

    def adapt(self, x: Tensor) -> Tensor:
        return self.predict(x)
