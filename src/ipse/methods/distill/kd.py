"""Knowledge distillation."""

from __future__ import annotations

from torch import nn

from ipse.losses.distillation import softened_kl
from ipse.losses.pseudo_labels import labelled
from ipse.models import Classifier
from ipse.training import Batch, Recipe, Step, Taught
from ipse.transforms import Weak


class KD(Taught):
    """Gives the softened probabilities of the teacher, and the labels where there are some.

        L = (1 - weight) CE(y, s) + weight T^2 KL(softmax(t / T) || softmax(s / T))

    with the scores t of the teacher and s of the student, at the `temperature` T, on the same weak view. T^2 makes the gradient as
    strong as that of the first term at any T. Samples without a label have the second term alone.

    Hinton, Vinyals, Dean, 2015, arXiv:1503.02531
    """

    sees = Weak()
    recipe = Recipe(lr=1e-3, weight_decay=0.01)
    terms = ("task", "distillation")

    def __init__(self, model: Classifier, teacher: nn.Module, *, temperature: float = 4.0, weight: float = 0.9):
        super().__init__(model)
        self.teacher, self.temperature, self.weight = teacher, temperature, weight

    def loss(self, batch: Batch) -> Step:
        (x,) = batch
        scores = self.model(x)
        task = (1 - self.weight) * labelled(scores, batch.y, batch.y >= 0)
        distillation = self.weight * softened_kl(scores, self.teacher(x), self.temperature)
        return Step(task + distillation, logits=scores, terms={"task": task, "distillation": distillation})
