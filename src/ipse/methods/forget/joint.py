"""What most methods share: one loss on samples to forget, another on samples to keep, descended together."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ipse.data import Samples
from ipse.errors import UserError
from ipse.methods.forget import Forgetter, Given, device_of, epoch, features, supervision
from ipse.models import Classifier
from ipse.training import Batch, Player, descend


class Joint(Forgetter):
    """Descends  mean over samples to keep of their loss + weight * mean over samples to forget of `each`.

    Both batches go through the network together. An epoch takes every sample of the larger part once; the smaller one begins
    again and again. Without samples to keep, the forgetting term stands alone.
    """

    forgets: ClassVar[bool] = True
    """Whether it looks at the samples to forget at all."""
    keeps: bool = True
    """Whether it looks at samples to keep, where they are given."""

    def __init__(
        self, *, epochs: float = 5, lr: float = 0.01, momentum: float = 0.9, batch_size: int = 128, weight: float = 1.0
    ):
        self.epochs, self.lr, self.momentum, self.batch_size, self.weight = epochs, lr, momentum, batch_size, weight

    def each(self, model: Classifier, h: Tensor, z: Tensor, batch: Batch) -> Tensor:
        """The forgetting loss of each sample, (B,), from its features h (B, d) and what the head says of them."""
        raise NotImplementedError

    def weights(self, model: Classifier, z: Tensor, batch: Batch) -> Tensor | None:
        """How much each sample to forget counts, (B,); all alike where None."""
        return None

    def begin(self, original: Classifier, forget: Samples) -> None:
        """Looks at the samples to forget before the first step."""

    def check(self, model: Classifier, forget: Samples, retain: Samples | None, pool: Samples | None) -> None:
        super().check(model, forget, retain, pool)
        if self.keeps and retain is not None and bool((retain.y < 0).any()):
            raise UserError("this method needs the label of every sample to keep, and some have none: give --labels FILE.csv")

    def unlearn(self, model: Classifier, original: Classifier, given: Given) -> Classifier:
        device = device_of(model)
        self.begin(original, given.forget)
        few = given.feed(given.forget, self.batch_size, "forget", device) if self.forgets else None
        kept = given.retain if self.keeps else None
        many = given.feed(kept, self.batch_size, "retain", device) if kept is not None else None
        steps = max(epoch(len(feed.samples), feed.batch_size) for feed in (few, many) if feed is not None)

        def loss(step: int) -> Tensor:
            batches = [feed.batch(step) for feed in (few, many) if feed is not None]
            h = features(model, torch.cat([batch.views[0].x for batch in batches]))  # together: they share batch statistics
            z = model.head(h)
            first, last = batches[0], batches[-1]
            total = torch.zeros((), device=device)
            if many is not None:
                total = total + supervision(model, z[-len(last.y) :], last.y).mean()
            if few is not None:
                n = len(first.y)
                each, weights = self.each(model, h[:n], z[:n], first), self.weights(model, z[:n], first)
                total = total + self.weight * (each if weights is None else weights * each).mean()
            return total

        player = Player(model.parameters(), loss, self.lr, (self.momentum, 0.999), optimizer="sgd")
        descend(model, player, steps=max(1, round(self.epochs * steps)), seed=given.seed, observer=given.observer)
        return model
