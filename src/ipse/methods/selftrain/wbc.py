"""Redesigned self-training with FixMatch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ipse.data import Samples
from ipse.losses.pseudo_labels import confident_consistency, labelled
from ipse.methods.selftrain.policies import surest
from ipse.methods.selftrain.rounds import InRounds, looked_at, no_labels, remembered
from ipse.metrics.segmentation import mean_iou
from ipse.models import Classifier, frozen_copy
from ipse.training import Batch, Recipe, Step
from ipse.training.method import Data
from ipse.transforms import Sees, WeakStrong


class SelfTrainingFixMatch(InRounds):
    """Trains a teacher on labels, a student on those of its pseudo-labels that were stable, another on all, each consistent under strong changes.

        teacher:  L = CE(y, f(weak)) over the labelled
        students: L = CE(y, f(weak)) over the labelled + CE(pseudo, f(strong)) over the others + consistency * L_fm
        L_fm = mean over the others of 1[max q >= threshold] CE(argmax q, f(strong)),   q = softmax f(weak), without gradient

    How stable a sample is: the IoU of what the teacher made of it after 1/`checkpoints`, 2/`checkpoints`, ... of its round with what it
    makes of it in the end, summed. The first student learns from the most stable `reliable` of the unlabelled samples; it then labels
    all of them for the second one. reliable=1 leaves the first student out: plain self-training (ST); with consistency=0 the
    three stages are ST++ (Yang et al., CVPR 2022, arXiv:2106.05095). Every student starts where the teacher did. early: adds L_fm to the
    teacher's loss too, which the authors saw lower the accuracy of the labelled stage.

    The paper segments cells, as is done here where labels are masks: all means are then over pixels. Where a sample has one class
    the IoU is 1 or 0, and among samples that are equally stable those go first whose probabilities moved least. At which
    stages L_fm is added is reconstructed.

    Luu, Le, Nguyen, Nguyen, Nguyen, Dinh, 2024, arXiv:2401.07278
    """

    sees = WeakStrong(labelled=1 / 2)
    by_pixel = True
    recipe = Recipe(lr=1e-3, weight_decay=0.01)
    pseudo: Tensor

    def __init__(
        self,
        model: Classifier,
        *,
        reliable: float = 0.5,
        checkpoints: int = 3,
        consistency: float = 1.0,
        threshold: float = 0.95,
        early: bool = False,
    ):
        super().__init__(model)
        self.reliable, self.checkpoints = reliable, checkpoints
        self.consistency, self.threshold, self.early = consistency, threshold, early
        self.rounds = 3 if reliable < 1 else 2
        self.kept = nn.ModuleList(frozen_copy(model) for _ in range(checkpoints - 1 if reliable < 1 else 0))

    def prepare(self, samples: Samples) -> None:
        super().prepare(samples)
        self.register_buffer("pseudo", no_labels(samples))

    def lesson(self) -> tuple[Sees, Tensor | None]:
        alone = self.round == 0 and not self.early
        return (WeakStrong(labelled=1.0) if alone else self.sees), self.labels

    def loss(self, batch: Batch) -> Step:
        weak, strong = batch
        has = batch.y >= 0
        seen, hard = self.model(torch.cat([weak, strong])).chunk(2)
        task = labelled(seen, batch.y, has)
        pseudo = labelled(hard, remembered(self.pseudo, batch), ~has) if self.round > 0 else seen.new_zeros(())
        both = self.consistency * confident_consistency(seen, hard, ~has, self.threshold)
        return Step(task + pseudo + both, logits=seen, terms={"task": task, "pseudo": pseudo, "consistency": both})

    def after_step(self, batch: Batch) -> None:
        if self.round > 0:
            return
        length = batch.steps / self.rounds
        for i, copy in enumerate(self.kept, start=1):
            if batch.step + 1 == max(i, round(length * i / self.checkpoints)):
                copy.load_state_dict(self.model.state_dict())

    def relabel(self, round: int, data: Data) -> None:
        last_round, labels = round == self.rounds - 1, list[Tensor]()

        def stable_and_named(last: Tensor, *earlier: Tensor) -> Tensor:
            labels.append(last.argmax(1))
            return stability(last, earlier)

        stable = looked_at(data, self.model, *([] if last_round else self.kept), then=stable_and_named)
        self.pseudo.copy_(torch.cat(labels))
        self.labels.copy_(self.given)
        if last_round:
            return
        bare = (self.given < 0).cpu()
        left_out = bare.clone()
        left_out[bare.nonzero()[:, 0][surest(stable[bare], self.reliable)]] = False
        self.labels.masked_fill_(left_out.to(self.labels.device), -2)


def stability(last: Tensor, earlier: Sequence[Tensor]) -> Tensor:
    """How little the labels of each sample changed while a model learned: (N,), whole numbers for the labels and a rest below 1.

        sum over checkpoints c of mean IoU(argmax last, argmax c)  +  rest,   rest = mean over c of the overlap of their probabilities / 2

    `last`, `earlier`: scores (N, K) or, of many places, (N, K, ...). Where labels never change the sum is the number of earlier
    checkpoints. The rest orders samples of one place, whose IoU is 0 or 1; it is not added where there are more.

    Yang, Zhuo, Qi, Shi, Gao, CVPR 2022, arXiv:2106.05095
    """
    classes = last.shape[1]
    total = torch.zeros(len(last))
    for scores in earlier:
        total += mean_iou(last.argmax(1).view(len(last), -1), scores.argmax(1).view(len(last), -1), classes)
        if last.ndim == 2:
            total += torch.minimum(F.softmax(last, 1), F.softmax(scores, 1)).sum(1) / (2 * len(earlier) + 1e-6)
    return total
