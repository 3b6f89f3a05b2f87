"""A stochastic teacher."""

from __future__ import annotations

import torch
from torch import Tensor

from ipse import randomness
from ipse.losses.forgetting import divergence
from ipse.methods.forget import Forgetter, Given, device_of, epoch, fresh, outputs, supervision
from ipse.models import Classifier
from ipse.training import Player, descend


class StochasticTeacher(Forgetter):
    """Erases by imitating a network of random weights on what is to be forgotten, then repairs by imitating itself on the rest.

        erase:  KL(random(x) || m(x)) over forgotten        repair:  hard CE(m(x), y) + (1 - hard) KL(before(x) || m(x)) over kept

    teachers: how many random networks speak, by the mean of their probabilities; renewed: at every step others do. They see the
    statistics of each batch, because they have no others. `hard` and `temperature` are reconstructed: the code is not public.

    Zhang et al., ADMA 2023, arXiv:2308.14322
    """

    needs = frozenset({"retain", "labels", "teacher"})

    def __init__(
        self,
        *,
        erase_epochs: float = 1,
        repair_epochs: float = 1,
        lr: float = 0.01,
        momentum: float = 0.9,
        batch_size: int = 64,
        hard: float = 0.1,
        temperature: float = 1.0,
        teachers: int = 1,
        renewed: bool = False,
    ):
        self.erase_epochs, self.repair_epochs, self.batch_size = erase_epochs, repair_epochs, batch_size
        self.lr, self.momentum, self.hard, self.temperature = lr, momentum, hard, temperature
        self.teachers, self.renewed = teachers, renewed

    def unlearn(self, model: Classifier, original: Classifier, given: Given) -> Classifier:
        assert given.retain is not None
        few = given.feed(given.forget, self.batch_size, "forget", device_of(model))
        many = given.feed(given.retain, self.batch_size, "retain", device_of(model))
        teachers = self._draw(model, given.seed)

        def erase(step: int) -> Tensor:
            speaking = self._draw(model, given.seed, step) if self.renewed else teachers
            x = few.batch(step).views[0].x
            return divergence(said(speaking, x), outputs(model, x))

        def repair(step: int) -> Tensor:
            batch = many.batch(step)
            x = batch.views[0].x
            z = outputs(model, x)
            loss = self.hard * supervision(model, z, batch.y).mean() if self.hard else 0
            with torch.no_grad():
                before = original(x)
            return loss + (1 - self.hard) * divergence(before, z, self.temperature)

        for name, loss, feed, epochs in (
            ("erase", erase, few, self.erase_epochs),
            ("repair", repair, many, self.repair_epochs),
        ):
            steps = max(1, round(epochs * epoch(len(feed.samples), feed.batch_size)))
            player = Player(model.parameters(), loss, self.lr, (self.momentum, 0.999), name=name, optimizer="sgd")
            descend(model, player, steps=steps, seed=given.seed, observer=given.observer)
        return model

    def _draw(self, model: Classifier, seed: int, step: int = 0) -> list[Classifier]:
        keys = (randomness.key(seed, "teacher", step, i) for i in range(self.teachers))
        return [fresh(model, key).requires_grad_(False).train() for key in keys]


@torch.no_grad()
def said(teachers: list[Classifier], x: Tensor) -> Tensor:
    """The logarithm of the mean of the teachers' probabilities, (B, K)."""
    p = torch.stack([outputs(teacher, x).float().softmax(1) for teacher in teachers])
    return p.mean(0).log()
