"""Loss-based reweighting of what is to be forgotten."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ipse import papers
from ipse.data import Samples
from ipse.errors import UserError
from ipse.losses.forgetting import easy_first
from ipse.methods.forget import device_of, outputs, supervision
from ipse.methods.forget.joint import Joint
from ipse.metrics.embedding import originals
from ipse.models import Classifier
from ipse.training import Batch


class LoReUn(Joint):
    """Forgets by another method, and weighs the samples with a small loss up: those are the ones that are hard to forget.

        L = mean over kept of CE + weight * mean_i w_i l_i,   w_i = B exp(-e_i / temperature) / sum_j exp(-e_j / temperature)

    l: the loss of `base` (gradient-ascent, random-labels, opc). e: the loss of the true label, by the model as it is at each step
    (dynamic) or as it was before (static). The normaliser over the batch is reconstructed: the code is not public.

    Li, Shen, Wang, Kawaguchi, 2025, arXiv:2507.22499
    """

    needs = frozenset({"retain", "labels"})

    def __init__(
        self,
        *,
        base: str = "random-labels",
        when: Literal["dynamic", "static"] = "dynamic",
        temperature: float = 1.0,
        epochs: float = 5,
        lr: float = 0.01,
        momentum: float = 0.9,
        batch_size: int = 128,
        weight: float = 1.0,
    ):
        super().__init__(epochs=epochs, lr=lr, momentum=momentum, batch_size=batch_size, weight=weight)
        kind = papers.load(base, "forget method")
        if not issubclass(kind, Joint) or issubclass(kind, LoReUn) or not kind.forgets:
            raise UserError(f"base={base}: has no loss for each sample to forget; take gradient-ascent, random-labels or opc")
        self.base: Joint = kind()
        self.when, self.temperature = when, temperature

    def begin(self, original: Classifier, forget: Samples) -> None:
        self.base.begin(original, forget)
        if self.when == "static":
            self.before = losses(original, forget)

    def each(self, model: Classifier, h: Tensor, z: Tensor, batch: Batch) -> Tensor:
        return self.base.each(model, h, z, batch)

    def weights(self, model: Classifier, z: Tensor, batch: Batch) -> Tensor:
        e = self.before[batch.index] if self.when == "static" else supervision(model, z, batch.y).detach()
        return easy_first(e, self.temperature)


@torch.no_grad()
def losses(model: Classifier, samples: Samples) -> Tensor:
    """The loss of every sample, (N,)."""
    y = torch.from_numpy(samples.y).to(device_of(model))
    return torch.cat([supervision(model, outputs(model, x), y[index]) for index, x in originals(model.encoder, samples)])
