"""Classes and rotations learned together, for test-time training."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from ipse.losses.pseudo_labels import labelled
from ipse.models import Classifier
from ipse.models.branch import Branch
from ipse.training import Batch, Recipe, Step, Taught
from ipse.transforms import Weak


class JointRotation(Taught):
    """Learns the classes and, on a second head that shares the first layers, by which right angle a picture was turned.

        L = cross-entropy(classes of x, y) + cross-entropy(rotation(x turned by 0, 90, 180, 270 degrees), that angle)

    The second head is a copy of the encoder's last third and a linear layer; `ipse adapt --method ttt-rotation` goes on from it, and
    finds it in the run. Samples without a label teach rotations alone. The usual encoder is normalised in groups of channels, since
    a single sample, which is what test-time training gets, has no batch statistics.

    Sun et al., ICML 2020, arXiv:1909.13231
    """

    sees = Weak()
    recipe = Recipe(optimizer="sgd", lr=0.2, weight_decay=5e-4)
    modalities = ("image",)
    encoder_options = {"groups": 8}  # noqa: RUF012

    def __init__(self, model: Classifier, *, weight: float = 1.0, share: float = 2 / 3):
        super().__init__(model)
        self.weight = weight
        model.rotation = Branch(model.encoder, 4, share)

    def loss(self, batch: Batch) -> Step:
        (x,) = batch
        logits = self.model(x)
        classes = labelled(logits, batch.y, batch.y >= 0)
        every = torch.cat([torch.rot90(x, k, (2, 3)) for k in range(4)])
        angle = torch.arange(4, device=x.device).repeat_interleave(len(x))
        assert self.model.rotation is not None
        rotations = F.cross_entropy(self.model.rotation(every).float(), angle)
        return Step(classes + self.weight * rotations, logits=logits, terms={"classes": classes, "rotations": rotations})
