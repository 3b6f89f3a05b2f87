"""FixMatch."""

from __future__ import annotations

import copy

import torch

from ipse.losses.means import mean_where
from ipse.losses.pseudo_labels import confident_consistency, labelled, pseudo_labels
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
    by_pixel = True
    recipe = Recipe("sgd", lr=0.015, weight_decay=5e-4, warmup=0.0)
    terms = ("task", "consistency")

    def __init__(self, model: Classifier, *, threshold: float = 0.95, weight: float = 1.0, decay: float = 0.999):
        super().__init__(model)
        self.threshold, self.weight, self.decay = threshold, weight, decay
        self.average = EMA(model)

    def loss(self, batch: Batch) -> Step:
        weak, strong = batch
        seen, hard = self.model(torch.cat([weak, strong])).float().chunk(2)
        has = batch.y >= 0
        task = labelled(seen, batch.y, has)
        consistency = self.weight * confident_consistency(seen, hard, ~has, self.threshold)
        _, confidence = pseudo_labels(seen)
        sure = mean_where((confidence >= self.threshold).float(), ~has)
        return Step(task + consistency, logits=seen, terms={"task": task, "consistency": consistency, "sure": sure})

    def after_step(self, batch: Batch) -> None:
        self.average.update(self.model, min(self.decay, (1 + batch.step) / (10 + batch.step)))
        for mean, now in zip(self.average.teacher.buffers(), self.model.buffers(), strict=True):
            mean.copy_(now)

    @property
    def learned(self) -> Classifier:
        kept = copy.deepcopy(self.average.teacher)
        assert isinstance(kept, Classifier)
        return kept.requires_grad_(True)
