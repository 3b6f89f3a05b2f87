"""Plain self-training."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ipse import randomness
from ipse.data import Samples
from ipse.errors import UserError
from ipse.losses.means import mean_where
from ipse.losses.pseudo_labels import labelled
from ipse.methods.selftrain.rounds import InRounds, looked_at, no_labels, remembered
from ipse.models import Classifier
from ipse.training import Batch, Recipe, Step
from ipse.training.method import Data
from ipse.transforms import Sees, Weak


class PlainSelfTraining(InRounds):
    """Learns from a teacher's labels where there are none, and from the labels where there are.

        L = mean over the batch of CE(y if there is one, else pseudo, f)

    In the first half of the run a teacher learns from the labels; it then labels every sample once, and a student learns anew by L.
    labelled: the share of the student's batches that has labels; None draws from all samples alike.
    apart: the share of the labels that the teacher alone learns from, and the student never sees; 0 lets both have all.

    Scudder, IEEE Transactions on Information Theory 11(3), 1965
    """

    sees = Weak(labelled=1.0)
    by_pixel = True
    recipe = Recipe(lr=1e-3, weight_decay=0.01)
    rounds = 2
    pseudo: Tensor

    def __init__(self, model: Classifier, *, labelled: float | None = 0.25, apart: float = 0.0):
        super().__init__(model)
        if not 0 <= apart < 1:
            raise UserError(f"apart is a share of the labels, from 0 to less than 1, not {apart}")
        self.labelled, self.apart = labelled, apart

    def prepare(self, samples: Samples) -> None:
        super().prepare(samples)
        self.register_buffer("pseudo", no_labels(samples))
        self.labels.masked_fill_(self._students, -2)
        if self.apart and not (self.labels >= 0).any():
            raise UserError(f"apart={self.apart} of {int((self.given >= 0).sum())} label(s) leaves the teacher none")

    def lesson(self) -> tuple[Sees, Tensor | None]:
        return (self.sees if self.round == 0 else Weak(labelled=self.labelled)), self.labels

    def relabel(self, round: int, data: Data) -> None:
        self.pseudo.copy_(looked_at(data, self.model, then=lambda scores: scores.argmax(1)))
        self.labels.copy_(torch.where(self._students | (self.apart == 0), self.given, -1))

    def loss(self, batch: Batch) -> Step:
        (x,) = batch
        scores, has = self.model(x), batch.y >= 0
        if self.round == 0:
            return Step(labelled(scores, batch.y, has), logits=scores)
        both = remembered(self.pseudo, batch), batch.y.clamp_min(0)
        pseudo, true = (F.cross_entropy(scores.float(), y, reduction="none") for y in both)
        return Step(self.compared(pseudo, true, has, self.done(batch)), logits=scores)

    def compared(self, pseudo: Tensor, true: Tensor, has: Tensor, done: float) -> Tensor:
        """The student's loss from those of each sample with its pseudo-label and with its label, where it has one; all (b,), or of pixels (b, S, S)."""
        return mean_where(torch.where(has, true, pseudo))

    @property
    def _students(self) -> Tensor:
        """Whose labels the teacher must not see, (N,) bool: of each class all but the first `apart` of its labels, in random order."""
        if not self.apart:
            return torch.zeros_like(self.given, dtype=torch.bool)
        place = torch.arange(len(self.given), device=self.given.device)
        chance = randomness.uniform(randomness.key("apart"), place, 1)[:, 0]
        students = torch.zeros_like(self.given, dtype=torch.bool)
        for label in self.given[self.given >= 0].unique():
            own = (self.given == label).nonzero()[:, 0]
            order = own[chance[own].argsort()]
            students[order[round(self.apart * len(order)) :]] = True
        return students
