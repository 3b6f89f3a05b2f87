"""Methods that make a model forget some of what it learned from, and their protocol."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ipse import randomness
from ipse.data import Samples
from ipse.errors import UserError
from ipse.models import Classifier, Regressor, create, frozen_copy
from ipse.training import Feed, Observer, Player, descend, seeded
from ipse.transforms import Original, viewer

Need = Literal["retain", "labels", "teacher", "pool"]
Says = Literal["classes", "numbers"]


@dataclass(frozen=True)
class Given:
    """What a method forgets with: the samples to forget, those to keep, others of another source, others never seen.

    seed: of everything random. observer: who is told of the steps.
    """

    forget: Samples
    retain: Samples | None = None
    pool: Samples | None = None
    test: Samples | None = None
    seed: int = 0
    observer: Observer | None = None

    def feed(self, samples: Samples, batch_size: int, name: str, device: torch.device) -> Feed:
        """Endless batches of samples as they are, in random order."""
        size = min(batch_size, len(samples))
        return Feed(samples, Original(), viewer(samples.form, samples=samples), size, randomness.key(self.seed, name), device)


class Forgetter:
    """A way to remove from a model what it learned from some samples.

    needs: what it takes beside the samples to forget. retain: samples to keep. labels: of all samples. teacher: the model as it
    was, which is kept while it forgets, not after. pool: samples of another source that the model never saw.
    says: whether the model may name classes, say numbers, or both.
    modalities: the only kinds of data that it is for; () for all.
    """

    needs: ClassVar[frozenset[Need]] = frozenset()
    says: ClassVar[frozenset[Says]] = frozenset({"classes"})
    modalities: ClassVar[tuple[str, ...]] = ()

    def forget(
        self,
        model: Classifier,
        *,
        forget: Samples,
        retain: Samples | None = None,
        pool: Samples | None = None,
        test: Samples | None = None,
        seed: int = 0,
        observer: Observer | None = None,
    ) -> Classifier:
        """A copy of `model` that has forgotten the samples `forget`, in evaluation mode; `model` stays as it is.

        Labels are numbers among the classes of the model. Raises UserError for what the method needs and is not given.
        """
        self.check(model, forget, retain, pool)
        original, learner = frozen_copy(model).eval(), copy.deepcopy(model).requires_grad_(True)
        return self.unlearn(learner, original, Given(forget, retain, pool, test, seed, observer)).eval()

    def unlearn(self, model: Classifier, original: Classifier, given: Given) -> Classifier:
        """Makes `model` forget, in place or anew; `original` is the same as it was."""
        raise NotImplementedError

    def check(self, model: Classifier, forget: Samples, retain: Samples | None, pool: Samples | None) -> None:
        """Raises UserError for what the method needs and is not given."""
        if not len(forget):
            raise UserError("there is nothing to forget: the list is empty")
        if (said := kind(model)) not in self.says:
            raise UserError(
                f"this method is for models that say {' and '.join(sorted(self.says))}, and this one says {said}; `ipse methods` lists others"
            )
        if "retain" in self.needs and (retain is None or not len(retain)):
            raise UserError(
                "this method needs samples to keep, and none are given: give --retain DATA, or take a method without"
            )
        if "pool" in self.needs and (pool is None or not len(pool)):
            raise UserError("this method needs samples of another source, and none are given: give --pool DATA")
        parts = [forget] if retain is None else [forget, retain]
        if "labels" in self.needs and any(bool((part.y < 0).any()) for part in parts):
            raise UserError("this method needs the label of every sample, and some have none: give --labels FILE.csv")


def kind(model: Classifier) -> Says:
    """What a model says."""
    return "numbers" if isinstance(model, Regressor) else "classes"


def outputs(model: Classifier, x: Tensor) -> Tensor:
    """What the head says of the `features` of a batch."""
    z: Tensor = model.head(features(model, x))
    return z


def features(model: Classifier, x: Tensor) -> Tensor:
    """What the head reads; one sample alone, which has no batch statistics, is seen with those that the model remembers."""
    training = model.training
    if len(x) < 2:
        model.eval()
    h = model.features(x)
    model.train(training)
    return h


def supervision(model: Classifier, z: Tensor, y: Tensor) -> Tensor:
    """The loss of each sample, (B,), from what the head says: cross-entropy, or the absolute error in units of the scale."""
    if isinstance(model, Regressor):
        return (z[:, 0] - (model.values[y] - model.mean) / model.scale).abs()
    return F.cross_entropy(z.float(), y, reduction="none")


def fresh(model: Classifier, seed: int) -> Classifier:
    """A model of the same kind that has learned nothing."""
    with seeded(seed):
        encoder = create(model.encoder.name, model.encoder.form, **model.encoder.options())
        return type(model)(encoder, model.classes).to(device_of(model))


def device_of(model: nn.Module) -> torch.device:
    """Where a model is."""
    return next(model.parameters()).device


def epoch(n: int, batch_size: int) -> int:
    """The number of steps that take n samples once."""
    return max(1, math.ceil(n / min(batch_size, n)))


__all__ = [
    "Forgetter",
    "Given",
    "Player",
    "descend",
    "device_of",
    "epoch",
    "features",
    "fresh",
    "kind",
    "outputs",
    "supervision",
]
