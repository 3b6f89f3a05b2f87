"""FixMatch."""

from __future__ import annotations

import copy

import torch
from torch.nn import functional as F

from ipse.losses.means import mean_where
from ipse.models import EMA, Classifier
from ipse.training import Batch, Recipe, Step, Taught
from ipse.transforms import WeakStrong


class FixMatch(Taught):
    """Labels what it is sure of in weak views, and learns to say the same of strong ones.

        L = CE(y, f(weak(x))) + weight * mean over unlabelled u of 1[max q >= threshold] CE(argmax q, f(strong(u))),
        q = softmax f(weak(u)), without gradient

    Of every 8 samples of a batch, 1 has a label (mu = 7). What is kept in the end is the moving average of the weights, whose decay
    grows to `decay` as (1 + step) / (10 + step) so that short runs are averaged too.

    Sohn et al., NeurIPS 2020, arXiv:2001.07685
    """

    sees = WeakStrong(labelled=1 / 8)
    recipe = Recipe("sgd", lr=0.015, weight_decay=5e-4, warmup=0.0)
    terms = ("task", "consistency")

    def __init__(self, model: Classifier, *, threshold: float = 0.95, weight: float = 1.0, decay: float = 0.999):
        super().__init__(model)
        self.threshold, self.weight, self.decay = threshold, weight, decay
        self.average = EMA(model)

    def loss(self, batch: Batch) -> Step:
        weak, strong = batch
        scores = self.model(torch.cat([weak, strong])).float()
        seen, hard = scores.chunk(2)
        has = batch.y >= 0
        confidence, guess = seen.detach().softmax(-1).max(-1)
        sure = confidence >= self.threshold
        task = mean_where(F.cross_entropy(seen, batch.y.clamp_min(0), reduction="none"), has)
        each = F.cross_entropy(hard, guess, reduction="none") * sure
        consistency = self.weight * mean_where(each, ~has)
        kept = mean_where(sure.float(), ~has)
        return Step(task + consistency, logits=seen, terms={"task": task, "consistency": consistency, "sure": kept})

    def after_step(self, batch: Batch) -> None:
        self.average.update(self.model, min(self.decay, (1 + batch.step) / (10 + batch.step)))
        for mean, now in zip(self.average.teacher.buffers(), self.model.buffers(), strict=True):
            mean.copy_(now)

    @property
    def learned(self) -> Classifier:
        kept = copy.deepcopy(self.average.teacher)
        assert isinstance(kept, Classifier)
        return kept.requires_grad_(True)
