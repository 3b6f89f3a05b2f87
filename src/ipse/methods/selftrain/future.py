"""Learning from the future."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from ipse.errors import UserError
from ipse.losses.means import mean_where
from ipse.losses.pseudo_labels import pseudo_labels
from ipse.methods.selftrain.mixing import patched
from ipse.models import EMA, Classifier
from ipse.training import Batch, Recipe, Step, Taught, backward, virtually
from ipse.transforms import WeakStrong


class FutureSelfTraining(Taught):
    """Learns from a teacher that has seen where the student is going.

        L(theta; phi) = mean over labelled of CE(y, f_theta(weak)) + weight * mean over unlabelled of 1[max q >= threshold] CE(argmax q, f_theta(strong)),
        q = softmax f_phi(weak), without gradient;   phi <- decay phi + (1 - decay) theta'

    where theta' is a student of the future: theta after steps that are taken back. theta then takes one real step on L(theta; phi).

    variant "fst":  one step ahead; the teacher moves once.
    variant "deep": `ahead` steps on the same batch; the teacher moves before each of them and after the last. ahead=0 is the mean
    teacher, which has no future.
    variant "wide": one step ahead on each of `ahead` further batches; the teacher moves to the mean of these students.

    decay grows to its value as 1 - 1 / (t + 1). look: the rate of the virtual steps in units of that of the real ones. cutmix: the share of
    the unlabelled samples that a piece of another of the batch is pasted into, labels in proportion; a labelled one brings its true label.
    keep: which of the two is kept in the end.
    Taking back includes the optimizer's moments and the statistics of the norms; the authors' code leaves those as the virtual steps
    made them, and moves the teacher of "wide" by the real student too. An iteration costs ahead + 1 times that of the mean teacher.
    Where labels are masks, a picture's pseudo-labels count by the share of its pixels that are sure, all of them alike, and a pixel
    has the label of the picture that it comes from.

    Du, Shen, Wang, Fei, Li, Wu, Zhao, Fu, Liu, NeurIPS 2022, arXiv:2209.06993
    """

    sees = WeakStrong(labelled=1 / 2)
    by_pixel = True
    recipe = Recipe(lr=1e-3, weight_decay=0.01)

    def __init__(
        self,
        model: Classifier,
        *,
        variant: Literal["fst", "deep", "wide"] = "deep",
        ahead: int = 3,
        look: float = 1.0,
        decay: float = 0.999,
        threshold: float = 0.968,
        weight: float = 1.0,
        cutmix: float = 0.0,
        keep: Literal["student", "teacher"] = "student",
    ):
        super().__init__(model)
        self.variant, self.ahead, self.look, self.decay = variant, 1 if variant == "fst" else ahead, look, decay
        self.threshold, self.weight, self.cutmix, self.keep = threshold, weight, cutmix, keep
        self.teacher = EMA(model)
        if ahead < (variant != "deep"):
            raise UserError(f"variant {variant} looks ahead at least 1 step, not {ahead}; ahead=0 is for deep")
        if variant == "wide":
            self.sees = replace(self.sees, batches=1 + ahead)

    def loss(self, batch: Batch) -> Step:
        weak, strong = batch
        has = batch.y >= 0
        guess, confidence = pseudo_labels(self.teacher(weak))
        label = torch.where(has, batch.y, guess)
        sure = (confidence >= self.threshold).float()
        sure = sure if has.ndim == 1 else sure.mean((1, 2), keepdim=True).expand_as(sure)
        trust = torch.where(has, 1.0, sure)
        given = has.view(len(has), -1).any(1)
        x = torch.where(given.view(-1, *[1] * (weak.ndim - 1)), weak, strong)
        x, partner, share, piece = patched(x, batch, torch.where(given, 0.0, self.cutmix), self.model.form["modality"])
        scores = self.model(x).float()
        own, other = (
            F.cross_entropy(scores, label[of], reduction="none") * trust[of]
            for of in (torch.arange(len(x), device=x.device), partner)
        )
        each = (1 - share) * own + share * other if has.ndim == 1 else torch.where(piece, other, own)
        task, consistency = mean_where(each, has), mean_where(each, ~has)
        terms = {"task": task, "consistency": consistency, "sure": mean_where(trust, ~has)}
        return Step(task + self.weight * consistency, logits=scores, terms=terms)

    def update(self, batch: Batch, optimizers: Sequence[Optimizer]) -> Step:
        (optimizer,) = optimizers
        decay = min(self.decay, 1 - 1 / (batch.step + 1))
        if self.variant == "wide":
            self._follow_many(batch.more, optimizer, decay)
        else:
            with virtually(self.model, optimizer):
                for _ in range(self.ahead):
                    if self.variant == "deep":
                        self.teacher.update(self.model, decay)
                    self._ahead(batch, optimizer)
                self.teacher.update(self.model, decay)
        step = self.loss(batch)
        backward({"loss": step.loss}, self._learning)
        return step

    def _follow_many(self, batches: Sequence[Batch], optimizer: Optimizer, decay: float) -> None:
        """Moves the teacher to the mean of the students after one step on each of the batches."""
        students: list[list[Tensor]] = []
        for batch in batches:
            with virtually(self.model, optimizer):
                self._ahead(batch, optimizer)
                students.append([p.detach().clone() for p in self.model.parameters()])
        with virtually(self.model, optimizer), torch.no_grad():
            for p, *many in zip(self.model.parameters(), *students, strict=True):
                p.copy_(torch.stack(many).mean(0))
            self.teacher.update(self.model, decay)

    def _ahead(self, batch: Batch, optimizer: Optimizer) -> None:
        """One step of the student that will be taken back."""
        backward({"loss": self.loss(batch).loss}, self._learning)
        rates = [group["lr"] for group in optimizer.param_groups]
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * self.look
        optimizer.step()
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        optimizer.zero_grad()

    @property
    def _learning(self) -> list[nn.Parameter]:
        return [p for p in self.model.parameters() if p.requires_grad]

    @property
    def learned(self) -> Classifier:
        if self.keep == "student":
            return self.model
        kept = copy.deepcopy(self.teacher.teacher)
        assert isinstance(kept, Classifier)
        return kept.requires_grad_(True)
