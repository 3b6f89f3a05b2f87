"""Dual-head knowledge distillation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ipse.distributed import all_mean
from ipse.losses.distillation import binary_kl
from ipse.losses.pseudo_labels import labelled
from ipse.models import BatchNorm, Classifier
from ipse.training import Batch, Recipe, Step, Taught
from ipse.transforms import Weak


class DHKD(Taught):
    """Learns the labels with one head and the teacher's scores with a second, as the two losses would pull one head apart.

        L = gamma CE(y, C1(h)) + alpha BinaryKL(C2(h), t)

    with the features h of the student and the scores t of the teacher, matched at `temperature`. BinaryKL is a sum over classes: the
    authors take alpha 1 for 100 of them and 0.1 for 1,000. C2 is linear, or with `hidden` units (the authors' 200) dropout, batch
    normalisation and ReLU in between; it is not kept. With `align` the gradient of the second loss loses what points against
    that of the first, where it does: g2 <- g2 - <g2, g1> / |g1|^2 g1. Samples without a label have the second loss alone.

    Yang et al., 2024, arXiv:2411.08937
    """

    sees = Weak()
    recipe = Recipe("sgd", lr=0.2, weight_decay=5e-4)
    terms = ("task", "distillation")

    def __init__(
        self,
        model: Classifier,
        teacher: nn.Module,
        *,
        alpha: float = 1.0,
        gamma: float = 1.0,
        temperature: float = 2.0,
        hidden: int = 0,
        align: bool = True,
    ):
        super().__init__(model)
        self.teacher, self.alpha, self.gamma = teacher, alpha, gamma
        self.temperature, self.align = temperature, align
        width, classes = model.encoder.dim, len(model.classes)
        between = [nn.Linear(width, hidden), nn.Dropout(0.1), BatchNorm(hidden), nn.ReLU()] if hidden else []
        self.auxiliary = nn.Sequential(*between, nn.Linear(hidden or width, classes))

    def loss(self, batch: Batch) -> Step:
        (x,) = batch
        h = self.model.features(x)
        scores = self.model.head(h)
        task = self.gamma * labelled(scores, batch.y, batch.y >= 0)
        distillation = self.alpha * binary_kl(self.auxiliary(h), self.teacher(x), self.temperature)
        if self.align:
            # g1 + g2 - c g1 is the gradient of (1 - c) L1 + L2, so the projection is a weight that leaves the value as it is.
            task = task + conflict(task, distillation, list(self.parameters())) * (task - task.detach())
        return Step(task + distillation, h=(h,), logits=scores, terms={"task": task, "distillation": distillation})


def conflict(first: Tensor, second: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """How far the gradient of a second loss points against that of a first: max(0, -<g2, g1> / |g1|^2), over all parameters and processes.

    Both losses are left as they were, with their graphs.

    >>> p = torch.tensor([1.0, 1.0], requires_grad=True)
    >>> conflict(p[0] * 2, p[1] - p[0], [p]).item()  # g1 = (2, 0), g2 = (-1, 1)
    0.5
    """
    if not (first.requires_grad and second.requires_grad):
        return torch.zeros_like(first)
    learning = [p for p in parameters if p.requires_grad]
    g1, g2 = (all_mean(_flat(loss, learning)) for loss in (first, second))
    return (-(g2 @ g1) / (g1 @ g1).clamp_min(torch.finfo(g1.dtype).tiny)).clamp_min(0)


def _flat(loss: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return torch.cat(
        [
            torch.zeros(p.numel(), device=p.device) if g is None else g.float().reshape(-1)
            for p, g in zip(parameters, found, strict=True)
        ]
    )
