"""Entropy minimisation."""

from __future__ import annotations

from torch import Tensor, nn
from torch.optim import Adam

from ipse import losses
from ipse.methods.adapt.adapter import Adapter
from ipse.methods.adapt.parts import scale_and_shift, use_batch_statistics


class Tent(Adapter):
    """Moves the scale and shift of normalisations so that predictions get surer.

    L = entropy of the predictions of a batch (`losses.entropy`); batch normalisation sees the batch's statistics, and each answer is
    that of the pass that the step is taken from.

    Wang et al., ICLR 2021, arXiv:2006.10726
    """

    def __init__(self, model: nn.Module, *, lr: float = 1e-3, steps: int = 1, prior: float = 0.0):
        super().__init__(model)
        use_batch_statistics(self.model, prior)
        self.steps = steps
        self.moves(scale_and_shift(self.model), Adam, lr=lr)

    def adapt(self, x: Tensor) -> Tensor:
        for _ in range(self.steps):
            logits: Tensor = self.model(x)
            self.step(losses.entropy(logits))
        return logits
