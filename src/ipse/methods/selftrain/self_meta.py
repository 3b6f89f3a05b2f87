"""Self meta pseudo labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ipse.distributed import all_mean
from ipse.losses.pseudo_labels import labelled, sharpened_consistency
from ipse.models import Classifier
from ipse.training import Batch, Recipe, Step, Taught, backward
from ipse.transforms import WeakStrong


@dataclass
class Scores:
    """What a model makes of a batch: (b, K) of its weak and of its strong views."""

    weak: Tensor
    strong: Tensor


class SelfMetaPseudoLabels(Taught):
    """Labels samples, takes a step on them, and is rewarded for it by how much better it then knows the true labels.

        theta'  = theta - eta grad CE(guess, f(strong)),   guess = argmax f(weak) at theta
        h       = CE(y, f(x)) at theta - the same at theta'
        theta'' = theta' - eta grad [ h CE(guess, f(strong)) + CE(y, f(x)) + unsupervised * UDA ]

    Meta Pseudo Labels with the student's and the teacher's part played by one network, in two steps per batch. h is the first-order
    coefficient, eta <grad CE(y), grad CE(guess)>, measured; UDA is the sharpened consistency of `ipse.losses`, with the distribution
    at theta, and its weight grows over the first `ramp` steps. centre: the decay of a moving mean of h that is
    subtracted from it; 0 for none. clip: the greatest norm of either gradient. In the last `finish` of the run the labels alone are
    learned, at a tenth of the rate.

    Every pass is over the weak and strong views of the whole batch, and draws the same dropout, so that h compares what the step
    changed and nothing else. Order and terms of the second step, and the defaults, are those of Meta Pseudo Labels and are partly
    reconstructed: the authors published no code.

    Ng & Wang, 2022, arXiv:2212.13420
    """

    sees = WeakStrong(labelled=1 / 8)
    recipe = Recipe("sgd", lr=0.0125, weight_decay=5e-4)

    def __init__(
        self,
        model: Classifier,
        *,
        unsupervised: float = 8.0,
        ramp: int = 5000,
        temperature: float = 0.7,
        threshold: float = 0.6,
        smoothing: float = 0.15,
        centre: float = 0.0,
        clip: float = 1.0,
        finish: float = 0.1,
    ):
        super().__init__(model)
        self.unsupervised, self.ramp, self.temperature, self.threshold = unsupervised, ramp, temperature, threshold
        self.smoothing, self.centre, self.clip, self.finish = smoothing, centre, clip, finish
        self.register_buffer("usual", torch.zeros(()))

    @property
    def teacher(self) -> nn.Module:
        """Who labels, and is rewarded: the one network itself."""
        return self.model

    def update(self, batch: Batch, optimizers: Sequence[Optimizer]) -> Step:
        (optimizer,) = optimizers
        if batch.progress >= 1 - self.finish:
            return self._finish(batch, optimizer)
        has = batch.y >= 0
        taught = self.seen(self.teacher, batch)
        guess = taught.weak.detach().argmax(1)
        before = taught if self.teacher is self.model else self.seen(self.model, batch)
        first = labelled(before.strong, guess, ~has)
        self._descend(first, self.model)
        optimizer.step()
        optimizer.zero_grad()
        after = self.seen(self.model, batch)
        second = after if self.teacher is self.model else taught
        change = labelled(before.weak.detach(), batch.y, has) - labelled(after.weak.detach(), batch.y, has)
        h = self._centred(all_mean(change))
        reward = h * labelled(second.strong, guess, ~has)
        truth = labelled(second.weak, batch.y, has, self.smoothing)
        uda = sharpened_consistency(taught.weak, second.strong, ~has, self.temperature, self.threshold)
        weight = self.unsupervised * min(1.0, (batch.step + 1) / max(self.ramp, 1))
        loss = reward + truth + weight * uda
        self._descend(loss, self.teacher)
        terms = {"pseudo": first, "feedback": h, "truth": truth, "uda": uda}
        return Step(loss, logits=after.weak, terms=terms)

    def seen(self, model: nn.Module, batch: Batch) -> Scores:
        """One pass over both views; it draws the same random numbers each time."""
        devices = [batch.y.device] if batch.y.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            scores = model(torch.cat(list(batch))).float()
        return Scores(*scores.chunk(2))

    def _finish(self, batch: Batch, optimizer: Optimizer) -> Step:
        for group in optimizer.param_groups:
            group["lr"] /= 10
        seen = self.seen(self.model, batch)
        loss = labelled(seen.weak, batch.y, batch.y >= 0)
        self._descend(loss, self.model)
        return Step(loss, logits=seen.weak, terms={"truth": loss})

    def _centred(self, h: Tensor) -> Tensor:
        if not self.centre:
            return h
        usual: Tensor = self.usual  # type: ignore[assignment]
        usual.lerp_(h.to(usual), 1 - self.centre)
        return h - usual

    def _descend(self, loss: Tensor, model: nn.Module) -> None:
        """Leaves the clipped gradient of one model."""
        parameters = [p for p in model.parameters() if p.requires_grad]
        backward({"loss": loss}, parameters)
        nn.utils.clip_grad_norm_(parameters, self.clip)
