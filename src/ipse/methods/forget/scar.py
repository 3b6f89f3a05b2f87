"""Selective-distillation for class and architecture-agnostic unlearning: forgetting with pictures of another source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.data import Samples
from ipse.errors import UserError
from ipse.losses.forgetting import divergence
from ipse.methods.forget import Forgetter, Given, device_of, epoch
from ipse.metrics.embedding import originals
from ipse.models import Classifier
from ipse.training import Batch, Feed, Player, descend

_JUDGED = 1000  # samples, by which it is seen whether enough is forgotten


class SCAR(Forgetter):
    """Moves the features of forgotten samples to the nearest other class, and holds the model by what it said of foreign samples.

        L = forgetting * mean D_target(x) + keeping * KL( before(x_o) / temperature || m(x_o) )

    D_c: the distance of power-transformed, normalised features to the mean of class c, by the class's shrunk and normalised
    covariance. The target is the nearest class that is not the sample's own, chosen before the first step. x_o: the pool. Kept
    samples are only looked at once, for the statistics of their classes.

    mode: "class" when no kept sample is of the forgotten classes: foreign samples that the model took for these are left out, and
    the teacher's scores of them are the lowest. "random": the distances of a class count by the share of it that is still named
    rightly, or not at all once that is less than `enough`. It ends when less than `target` of the samples is named rightly (1 %;
    in the mode "random" the accuracy on samples never seen) from the third epoch on, or after `epochs`. own: foreign samples that
    the model takes for the forgotten class stand for the samples to forget, which are only looked at to see whether it may end.

    Normalisations keep the statistics that they have. Features below 0 count as 0.

    Bonato, Cotogni, Sabetta, ECCV 2024, arXiv:2404.12922
    """

    needs = frozenset({"retain", "labels", "teacher", "pool"})

    def __init__(
        self,
        *,
        epochs: int = 30,
        lr: float = 5e-4,
        batch_size: int = 1024,
        rounds: int = 5,
        forgetting: float = 1.0,
        keeping: float = 5.0,
        temperature: float = 1.0,
        power: float = 0.5,
        shrink: Sequence[float] = (3.0, 3.0),
        mode: Literal["auto", "class", "random"] = "auto",
        target: float | None = None,
        enough: float = 0.8,
        own: bool = False,
    ):
        self.epochs, self.lr, self.batch_size, self.rounds = epochs, lr, batch_size, rounds
        self.forgetting, self.keeping, self.temperature = forgetting, keeping, temperature
        self.power, self.shrink, self.mode = power, tuple(shrink), mode
        self.target, self.enough, self.own = target, enough, own

    def unlearn(self, model: Classifier, original: Classifier, given: Given) -> Classifier:
        assert given.retain is not None
        assert given.pool is not None
        device = device_of(model)
        gone = torch.from_numpy(np.unique(given.forget.y)).to(device)
        whole = self.mode == "class" or (self.mode == "auto" and not np.isin(given.retain.y, np.unique(given.forget.y)).any())
        if self.own and not whole:
            raise UserError("own=true is for forgetting whole classes; these samples are only some of theirs")
        statistics = self.statistics(original, given.retain, gone if whole else None)
        pool = given.feed(given.pool, self.batch_size, "pool", device)
        few = self._foreign(original, given, gone) if self.own else given.feed(given.forget, self.batch_size, "forget", device)
        targets = torch.cat([statistics.nearest(e, y) for e, y in features_of(original, few.samples, device)])
        judged = (few if self.own else given.feed(given.forget, _JUDGED, "judged", device)).batch(0)
        target = self.target if self.target is not None else self._target(original, given, whole)
        share = torch.ones(len(model.classes), device=device)
        each = epoch(len(few.samples), few.batch_size) * self.rounds

        def loss(step: int) -> Tensor:
            model.eval()  # foreign samples must not move the statistics of normalisations
            batch = few.batch(step // self.rounds)
            distance = statistics.distance(model.features(batch.views[0].x), targets[batch.index])
            if not whole:
                distance = distance * share[batch.y]
            return self.forgetting * distance.mean() + self.keeping * self._held(model, original, pool.batch(step), gone, whole)

        def enough(step: int) -> bool:
            right = rightly(model, judged)
            if not whole:
                share.copy_(by_class(right, judged.y, len(share)))
                share[share < self.enough] = 0
            return step + 1 >= 2 * each and float(right.float().mean()) < target

        player = Player(model.parameters(), loss, self.lr)
        descend(model, player, steps=self.epochs * each, seed=given.seed, observer=given.observer, after=enough)
        return model

    def statistics(self, model: Classifier, samples: Samples, without: Tensor | None = None) -> Statistics:
        """Mean and precision of the features of every class that has samples, but for the classes `without`."""
        device = device_of(model)
        parts = list(features_of(model, samples, device))
        e, y = (torch.cat(column) for column in zip(*parts, strict=True))
        v = powered(e, self.power)
        classes = [c for c in y.unique().tolist() if without is None or c not in without.tolist()]
        if len(classes) < (1 if without is not None else 2):
            raise UserError("there is no other class among the samples to keep, to which the forgotten ones could go")
        means = torch.stack([v[y == c].mean(0) for c in classes])
        return Statistics(
            torch.tensor(classes, device=device),
            means,
            torch.stack([precision(v[y == c], self.shrink[0], self.shrink[1]) for c in classes]),
            self.power,
        )

    def _held(self, model: Classifier, original: Classifier, batch: Batch, gone: Tensor, whole: bool) -> Tensor:
        """How far the model has moved on foreign samples."""
        x = batch.views[0].x
        with torch.no_grad():
            before: Tensor = original(x)
        if whole:
            kept = ~torch.isin(before.argmax(1), gone)
            if not kept.any():
                return before.new_zeros(())
            x, before = x[kept], before[kept].clone()
            before[:, gone] = before.min()
        return divergence(before / self.temperature, model(x))

    def _foreign(self, original: Classifier, given: Given, gone: Tensor) -> Feed:
        """Foreign samples that the model takes for a forgotten class."""
        assert given.pool is not None
        with torch.no_grad():
            said = torch.cat([original(x).argmax(1) for _, x in originals(original.encoder, given.pool)])
        taken = torch.isin(said, gone).cpu()
        if not taken.any():
            raise UserError(
                "own=true: the model takes none of the foreign samples for what it shall forget; give another --pool"
            )
        samples = given.pool.subset(taken).relabelled(said.cpu()[taken].numpy())
        return given.feed(samples, self.batch_size, "forget", device_of(original))

    def _target(self, original: Classifier, given: Given, whole: bool) -> float:
        """The accuracy below which enough is forgotten."""
        if whole:
            return 0.01
        if given.test is None:
            return 0.0
        y = torch.from_numpy(given.test.y).to(device_of(original))
        right = [original(x).argmax(1) == y[index] for index, x in originals(original.encoder, given.test)]
        return float(torch.cat(right).float().mean())


@dataclass(frozen=True)
class Statistics:
    """What is known of the features of some classes (C,): mean (C, d) and precision (C, d, d) of their powers."""

    classes: Tensor
    means: Tensor
    precisions: Tensor
    power: float

    def distances(self, features: Tensor) -> Tensor:
        """(B, d) to the distance from every class, (B, C).

        D_c = u' P_c u,   u = normalised(e^power) - normalised(mean_c)
        """
        u = F.normalize(powered(features, self.power))[:, None] - F.normalize(self.means)
        return torch.einsum("bcd,cde,bce->bc", u, self.precisions, u)

    def distance(self, features: Tensor, place: Tensor) -> Tensor:
        """The distance from one class each, (B,), by its place (B,) among the classes."""
        u = F.normalize(powered(features, self.power)) - F.normalize(self.means)[place]
        return torch.einsum("bd,bde,be->b", u, self.precisions[place], u)

    @torch.no_grad()
    def nearest(self, features: Tensor, y: Tensor) -> Tensor:
        """The place (B,) of the nearest class that is not the sample's own."""
        return self.distances(features).masked_fill(self.classes == y[:, None], torch.inf).argmin(1)


def powered(features: Tensor, power: float) -> Tensor:
    """Tukey's power of features, which makes their distribution more normal; 1e-6 keeps its slope finite at 0."""
    return (features.float().clamp(min=0) + 1e-6) ** power


def shrunk(covariance: Tensor, diagonal: float, off: float) -> Tensor:
    """S + diagonal v I + off w (1 - I), with v the mean of the diagonal and w that of what is off it and not 0."""
    eye = torch.eye(len(covariance), device=covariance.device, dtype=covariance.dtype)
    rest = covariance * (1 - eye)
    mean = rest.sum() / (rest != 0).sum().clamp(min=1)
    return covariance + diagonal * covariance.diagonal().mean() * eye + off * mean * (1 - eye)


def normalised(covariance: Tensor) -> Tensor:
    """The correlations of a covariance: its diagonal becomes 1."""
    deviation = covariance.diagonal().clamp(min=1e-12).sqrt()
    return covariance / (deviation[:, None] * deviation)


def precision(v: Tensor, diagonal: float, off: float) -> Tensor:
    """The inverse of the twice shrunk, normalised covariance of rows (n, d); one row alone has the identity."""
    if len(v) < 2:
        return torch.eye(v.shape[1], device=v.device)
    inverse: Tensor = torch.linalg.pinv(normalised(shrunk(shrunk(v.T.cov(), diagonal, off), diagonal, off)))
    return inverse


@torch.no_grad()
def features_of(model: Classifier, samples: Samples, device: torch.device) -> Sequence[tuple[Tensor, Tensor]]:
    """Pieces of the features (b, d) and labels (b,) of all samples, in order."""
    y = torch.from_numpy(samples.y).to(device)
    return [(model.features(x).float(), y[index]) for index, x in originals(model.encoder, samples)]


@torch.no_grad()
def rightly(model: Classifier, batch: Batch) -> Tensor:
    """Whether each sample is named rightly, (B,), by the model in evaluation mode."""
    training = model.training
    right: Tensor = model.eval()(batch.views[0].x).argmax(1) == batch.y
    model.train(training)
    return right


def by_class(right: Tensor, y: Tensor, classes: int) -> Tensor:
    """The share of each class that is named rightly, (K,); 0 of one without samples."""
    total = torch.bincount(y, minlength=classes)
    return torch.bincount(y, weights=right.float(), minlength=classes) / total.clamp(min=1)
