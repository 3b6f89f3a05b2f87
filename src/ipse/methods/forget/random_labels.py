"""Random labels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ipse import randomness
from ipse.data import Samples
from ipse.errors import UserError
from ipse.methods.forget.joint import Joint
from ipse.models import Classifier
from ipse.training import Batch


class RandomLabels(Joint):
    """Teaches a wrong label, drawn once for each sample to forget.

    Graves, Nagisetty, Ganesh, AAAI 2021, arXiv:2010.10981
    """

    needs = frozenset({"labels"})

    def begin(self, original: Classifier, forget: Samples) -> None:
        classes = len(original.classes)
        if classes < 2:
            raise UserError("there is no wrong label in a model of one class")
        step = randomness.uniform(randomness.key("wrong label"), torch.arange(len(forget)), 1)[:, 0]
        self.wrong = (torch.from_numpy(forget.y) + 1 + (step * (classes - 1)).long()) % classes

    def each(self, model: Classifier, h: Tensor, z: Tensor, batch: Batch) -> Tensor:
        return F.cross_entropy(z.float(), self.wrong.to(z.device)[batch.index], reduction="none")
