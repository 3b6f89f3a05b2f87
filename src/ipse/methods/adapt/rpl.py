"""Self-learning with robust pseudo-labels."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.optim import SGD

from ipse import losses
from ipse.methods.adapt.adapter import Adapter
from ipse.methods.adapt.parts import scale_and_shift, use_batch_statistics


class RPL(Adapter):
    """Moves the scale and shift of normalisations towards the model's own predictions, by a loss that wrong ones move little.

    With logits z, p = softmax(z) and y = argmax z, which no gradient reaches:

        loss = "rpl"    (1 - p_y^q) / q             robust pseudo-labels, the paper's choice
               "hard"   -log p_y                    hard pseudo-labels
               "soft"   -sum_k t_k log p_k          soft pseudo-labels t = softmax(z / temperature), which no gradient reaches
               "ent"    -sum_k p_k log p_k          entropy, with the gradient through both factors

    The teacher is the student at the same step, so that soft labels of temperature 1 move nothing.

    Batch normalisation sees the batch's statistics. In the paper each corruption starts from the source, and its samples are gone
    through 1 to 5 times (`--passes`) before they are judged; here a sample is answered as it comes unless passes are asked for. lr is
    for batches of 96 and grows with the batch.

    Rusak et al., TMLR 2022, arXiv:2104.12928
    """

    resets = "segment"

    def __init__(
        self,
        model: nn.Module,
        *,
        loss: Literal["rpl", "hard", "soft", "ent"] = "rpl",
        q: float = 0.8,
        temperature: float = 1.0,
        lr: float = 7.5e-4,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        prior: float = 0.0,
    ):
        super().__init__(model)
        use_batch_statistics(self.model, prior)
        self.kind, self.q, self.temperature, self.lr = loss, q, temperature, lr
        self.moves(scale_and_shift(self.model), SGD, lr=lr, momentum=momentum, weight_decay=weight_decay)

    def adapt(self, x: Tensor) -> Tensor:
        logits: Tensor = self.model(x)
        self.step(self.loss(logits), lr=self.lr * len(x) / 96)
        return logits

    def loss(self, logits: Tensor) -> Tensor:
        """What the predictions of a batch cost."""
        if self.kind == "ent":
            return losses.entropy(logits)
        if self.kind == "soft":
            return nn.functional.cross_entropy(logits.float(), (logits.detach().float() / self.temperature).softmax(1))
        label = logits.detach().argmax(1)
        if self.kind == "hard":
            return nn.functional.cross_entropy(logits.float(), label)
        return losses.robust_pseudo_label(logits, label, self.q)
