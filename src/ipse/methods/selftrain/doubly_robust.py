"""Doubly robust self-training."""

from __future__ import annotations

from torch import Tensor

from ipse.losses.doubly_robust import doubly_robust
from ipse.methods.selftrain.plain import PlainSelfTraining
from ipse.models import Classifier


class DoublyRobust(PlainSelfTraining):
    """Learns from a teacher's labels, less by as much as the teacher is wrong where the truth is known.

        L = mean over the batch of CE(pseudo, f)  +  a mean over its labelled part of (CE(y, f) - CE(pseudo, f)),   a = t / T

    In the first half of the run a teacher learns from the labels; it then labels every sample once, the labelled ones too, and a
    student learns anew by L. correction: what `a` has grown to in the end; 0 learns from pseudo-labels alone.
    labelled: the share of the student's batches that has labels; None draws from all samples alike, as the authors do, who have many
    labels: where few samples of a batch have one, the correction is noise.
    apart: the share of the labels that the teacher alone learns from, and the student never sees; 0, as in the authors' experiments
    with pictures, lets both have all. The theory wants teacher and labels independent: one that is right on all it learned from
    leaves nothing to correct.

    Zhu, Ding, Jacobson, Wu, Zhan, Jordan, Jiao, NeurIPS 2023, arXiv:2306.00265
    """

    def __init__(self, model: Classifier, *, correction: float = 1.0, labelled: float | None = 0.25, apart: float = 0.0):
        super().__init__(model, labelled=labelled, apart=apart)
        self.correction = correction

    def compared(self, pseudo: Tensor, true: Tensor, has: Tensor, done: float) -> Tensor:
        return doubly_robust(pseudo, true, has, self.correction * done)
