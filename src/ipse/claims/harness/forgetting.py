"""What claims of forgetting are written with: a model, some of what it learned, and one that never saw that."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from ipse.claims.harness.kit import told

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from ipse.data import Data, Samples
    from ipse.models import Classifier


@dataclass
class Case:
    """A model that learned from all of the training part, and the places of what it is to forget.

    epochs, lr: how it learned, and how the retrained model does. widths: of its small convolutional network.
    """

    data: Data
    gone: NDArray[np.bool_]
    seed: int
    epochs: float
    lr: float = 2e-3
    says: Literal["classes", "numbers"] = "classes"
    widths: tuple[int, ...] = (8, 16, 32)
    _gold: dict[bool, dict[str, float]] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def forget(self) -> Samples:
        """What is to be forgotten."""
        return self.data.train.subset(self.gone)

    @cached_property
    def retain(self) -> Samples:
        """What is to be kept."""
        return self.data.train.subset(~self.gone)

    @cached_property
    def original(self) -> Classifier:
        """The model that learned from all."""
        return self._learned(self.data.train)

    @cached_property
    def retrained(self) -> Classifier:
        """The model that never saw what is to be forgotten."""
        return self._learned(self.retain)

    def after(self, method: str, *, pool: Samples | None = None, **settings: Any) -> Classifier:
        """The model after a method of `ipse forget` with these settings."""
        from ipse import papers

        told.get()(" ".join([method, *(f"{name}={value}" for name, value in settings.items())]))
        forgetter = papers.load(method, "forget method")(**settings)
        result: Classifier = forgetter.forget(
            self.original, forget=self.forget, retain=self.retain, pool=pool, test=self.data.test, seed=self.seed
        )
        return result

    def audit(self, model: Classifier, *, full: bool = False) -> dict[str, float]:
        """The numbers of the audit of a model."""
        return self._audited(model, full)["forgotten"]

    def gold(self, *, full: bool = False) -> dict[str, float]:
        """The numbers of the audit of the retrained model."""
        if full not in self._gold:
            self._gold[full] = self._audited(self.retrained, full)["forgotten"]
        return self._gold[full]

    def before(self) -> dict[str, float]:
        """The numbers of the audit of the model as it was."""
        return self._audited(self.original, False)["original"]

    def apart(self, model: Mapping[str, float], *also: str) -> float:
        """How far the numbers of an audit lie from the retrained model's: mean |difference| of the three accuracies and `also`."""
        gold, names = self.gold(), ("forget-accuracy", "retain-accuracy", "test-accuracy", *also)
        return sum(abs(model[name] - gold[name]) for name in names) / len(names)

    def beside_gold(self, arms: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        """What a claim on a forgotten digit shows of each arm's audit: how far from the retrained model, what it still names."""
        return {
            **{arm: self.apart(found) for arm, found in arms.items()},
            **{f"still named, {arm}": found["forget-accuracy"] for arm, found in arms.items()},
            **{f"other digits on test, {arm}": found["test-accuracy"] for arm, found in arms.items()},
            "other digits on test, retrained": self.gold()["test-accuracy"],
        }

    def _audited(self, model: Classifier, full: bool) -> dict[str, dict[str, float]]:
        from ipse.jobs.forgetting.audits import audit

        parts = (self.forget, self.retain, self.data.test)
        found: dict[str, dict[str, float]] = audit(
            model, self.original, self.retrained if full else None, *parts, full=full, seed=self.seed
        )["models"]
        return found

    def _learned(self, samples: Samples) -> Classifier:
        import torch

        from ipse import models
        from ipse.methods.forget.retrain import Retrain

        told.get()(f"learns from {len(samples)} samples")
        kind = models.Regressor if self.says == "numbers" else models.Classifier
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            start = kind(models.create("small_conv", samples.form, widths=self.widths), self.data.classes)
        method = Retrain(epochs=self.epochs, lr=self.lr, batch_size=64)
        return method.forget(start, forget=self.forget, retain=samples, seed=self.seed)


def one_class(data: Data, name: str) -> NDArray[np.bool_]:
    """All training samples of a class."""
    mask: NDArray[np.bool_] = data.train.y == data.classes.index(name)
    return mask


def at_random(data: Data, share: float, seed: int) -> NDArray[np.bool_]:
    """A share of the training samples, drawn anew for every seed."""
    import numpy as np

    n = len(data.train)
    return np.isin(np.arange(n), np.random.default_rng(seed).permutation(n)[: round(share * n)])
