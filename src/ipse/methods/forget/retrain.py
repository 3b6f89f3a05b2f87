"""Retraining from scratch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from typing_extensions import Self

from ipse import papers, randomness
from ipse.errors import UserError
from ipse.methods.forget import Forgetter, Given, device_of
from ipse.models import Classifier, Regressor, create, load
from ipse.training import Feed, Plan, Taught, fit, seeded
from ipse.training.precision import FABRIC
from ipse.transforms import viewer


class Retrain(Forgetter):
    """Learns anew from the samples to keep, as the model was learned at first: what all others are measured by.

    `of` takes everything from the configuration of the run. method: of `ipse selftrain`, "" for the usual one: supervised, or
    regression for models that say numbers. start: a folder whose encoder it begins with.
    """

    needs = frozenset({"retain"})
    says = frozenset({"classes", "numbers"})

    def __init__(
        self,
        *,
        method: str = "",
        epochs: float = 10,
        batch_size: int = 128,
        lr: float = 5e-4,
        optimizer: str = "adamw",
        weight_decay: float = 0.01,
        warmup: float = 0.05,
        schedule: str = "cosine",
    ):
        self.method, self.epochs, self.batch_size, self.schedule = method, epochs, batch_size, schedule
        self.plan: dict[str, Any] = {"lr": lr, "optimizer": optimizer, "weight_decay": weight_decay, "warmup": warmup}
        self.settings: Mapping[str, Any] = {}
        self.views: Mapping[str, Any] = {}
        self.precision, self.pretrained = "fp32", False
        self.start: str | None = None

    @classmethod
    def of(cls, config: Mapping[str, Any], steps: int, settings: Mapping[str, Any] | None = None) -> Self:
        """As a run of `steps` steps was configured, but for `settings`; raises UserError when its kind cannot be repeated without the forgotten samples."""
        if config.get("job") != "selftrain":
            raise UserError(
                f"a run of ipse {config.get('job', 'pretrain')} cannot be retrained without its teacher, which learned from the same samples: take --gold none"
            )
        names = ("batch_size", "lr", "optimizer", "weight_decay", "warmup", "schedule")
        epochs = steps * config["batch_size"] / config["samples"]
        usual = {"method": config["method"], "epochs": epochs, **{name: config[name] for name in names}}
        built = cls(**usual | dict(settings or {}))
        built.settings, built.views, built.precision = config["set"], config["views"], config["precision"]
        built.pretrained, built.start = config["pretrained"], config.get("from")
        built.plan["clip"] = config["clip"]
        return built

    def unlearn(self, model: Classifier, original: Classifier, given: Given) -> Classifier:
        assert given.retain is not None
        samples, form = given.retain, model.encoder.form
        key = self.method or ("regression" if isinstance(model, Regressor) else "supervised")
        kind: type[Taught] = papers.load(key, "selftrain method")
        with seeded(given.seed):
            encoder = (
                load(Path(self.start)).train()
                if self.start
                else create(model.encoder.name, form, self.pretrained, **model.encoder.options())
            )
            method = kind(Classifier(encoder, model.classes), **self.settings)
            method.prepare(samples)
        device = device_of(model)
        size = min(self.batch_size, len(samples))
        feed = Feed(samples, method.sees, viewer(samples.form, self.views, samples), size, given.seed, device)
        steps = max(1, math.ceil(self.epochs * len(samples) / size))
        plan = Plan(schedule=papers.load(self.schedule, "schedule"), steps=steps, **self.plan)
        fabric = Fabric(accelerator=device.type, devices=1, precision=FABRIC[self.precision])
        observers = [given.observer] if given.observer is not None else []
        with randomness.deterministic():
            fit(fabric, method, feed, plan, observers=observers)
        return method.learned.to(device)
