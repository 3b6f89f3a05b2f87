"""What an adapter starts from: a model, samples of its source, the stretches of a stream."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ipse import models, papers
from ipse.data import Data, Form, Samples, open_data
from ipse.data.form import described
from ipse.errors import UserError, first_line, unknown
from ipse.jobs import names
from ipse.jobs.run import Run, say
from ipse.methods.adapt import Adapter, Guarded
from ipse.methods.adapt.parts import batch_norms
from ipse.transforms import viewer
from ipse.transforms.corruptions import corrupt, kinds

SOURCE = 1 << 27  # numbers of the source that are held at most


@dataclass(frozen=True)
class Model:
    """A classifier to adapt; classes and form are empty and None where a module does not say."""

    module: nn.Module
    classes: tuple[str, ...] = ()
    form: Form | None = None
    name: str = "a module"
    run: Run | None = None


@dataclass(frozen=True)
class Segment:
    """A stretch of the stream under one corruption."""

    name: str
    kind: str
    severity: int
    index: NDArray[np.int64]


def open_model(of: Any) -> Model:
    """Opens a run, a timm model name or a torch module; raises UserError for what is none of these or names no classes."""
    if isinstance(of, nn.Module):
        return Model(of, tuple(map(str, getattr(of, "classes", ()))), getattr(of, "form", None), type(of).__name__)
    if isinstance(of, (Run, os.PathLike)) or (isinstance(of, str) and (Path(of).exists() or len(Path(of).parts) > 1)):
        run = Run.open(of)
        classifier = run.naming_samples("adapt")
        if isinstance(classifier, models.Regressor):
            raise UserError(f"{of} predicts numbers, and what adapts here are classifiers")
        return Model(classifier, classifier.classes, classifier.form, str(of), run)
    if not isinstance(of, str):
        raise UserError(f"the model must be a run's folder, a timm model name or a torch module, not {type(of).__name__}")
    from ipse.models.timm_door import TimmClassifier

    try:
        with torch.random.fork_rng(devices=[]):
            model = TimmClassifier(of)
    except UserError as e:
        raise UserError(f"no run {of!r}: there is no such folder, and as a model of timm: {e}") from None
    return Model(model, model.classes, model.form, of)


def build(
    model: Model,
    key: str,
    settings: Sequence[str] | Mapping[str, Any],
    *,
    seed: int = 0,
    guard: bool = True,
    margin: float = 0.05,
) -> Guarded:
    """The guarded adapter of a model; raises UserError for methods, settings and models that do not go together."""
    method: type[Adapter] = papers.load(key, "adapt method")
    chosen = names.checked(method, names.assignments(settings, "--set"), key)
    if not 0 <= margin < 1:
        raise UserError(f"--margin is a share of the answers, from 0 to less than 1, not {margin:g}")
    if model.form is not None and method.modalities and model.form["modality"] not in method.modalities:
        raise UserError(
            f"{key} is for {' and '.join(method.modalities)} data, and {model.name} is for {model.form['modality']}"
        )
    try:
        adapter = method(model.module, **chosen)
    except RuntimeError as e:
        raise UserError(f"{key} cannot adapt {model.name}: {first_line(e)}") from e
    adapter.seed = seed
    guarded = Guarded(adapter, model.module, margin=margin, active=guard)
    for note in adapter.notes:
        say(f"ipse: note: {note}")
    return guarded


def samples_of(source: Any, model: Model) -> tuple[Tensor, Tensor]:
    """Samples of the source as the model sees them and their labels: (x, y) as it stands, or data that is opened.

    Of large data as many, spread over it, as a memory of 2^27 numbers holds. Raises UserError where nothing has a label.
    """
    if isinstance(source, tuple) and len(source) == 2 and all(isinstance(part, Tensor) for part in source):
        return source[0], source[1].long()
    data = open_data(source, form=model.form)
    y = aligned(data, model)
    known = np.flatnonzero(y >= 0)
    if not len(known):
        raise UserError(f"the source, {data.name}, has no labels: name labelled data the model was trained on with --source")
    eye = viewer(data.form)
    numbers = eye.original(data.train.read(known[:1])).x.numel()
    some = known[np.linspace(0, len(known) - 1, min(len(known), 50_000, max(2, SOURCE // numbers))).astype(np.int64)]
    x = torch.cat([eye.original(data.train.read(part)).x for part in np.array_split(some, -(-len(some) // 512))])
    return x, torch.from_numpy(y[some])


def aligned(data: Data, model: Model, samples: Samples | None = None) -> NDArray[np.int64]:
    """The labels of samples as numbers of the model's classes, -1 for those it does not know.

    Raises UserError where it knows none of them.
    """
    y = (samples or data.train).y
    if not model.classes or not data.classes:
        return y
    known = {name: i for i, name in enumerate(model.classes)}
    if all(name.isdecimal() and int(name) < len(known) and name not in known for name in data.classes):
        known = {str(i): i for i in range(len(known))}  # numbers of an array mean the classes in their order
    if not set(data.classes) & set(known):
        raise UserError(
            f"{model.name} names {_some(model.classes)}, and {data.name} has {_some(data.classes)}: no class in common; "
            "give labels by the model's names with --labels"
        )
    if missing := [name for name in data.classes if name not in known]:
        say(f"ipse: note: {model.name} does not know {_some(missing)}: samples of such classes are answered, and not judged")
    table = np.array([*(known.get(name, -1) for name in data.classes), -1])
    return table[y]


def _some(words: Sequence[str]) -> str:
    return ", ".join(words[:5]) + (f" and {len(words) - 5} more" if len(words) > 5 else "")


def normalises_batches(adapter: Adapter) -> bool:
    """Whether the model normalises by batches."""
    return bool(batch_norms(adapter.model))


def tried(model: Model, samples: Samples) -> None:
    """Raises UserError where the model cannot look at the samples or gives something else than scores of its classes."""
    x = viewer(model.form or samples.form).original(samples.read([0, len(samples) - 1])).x
    try:
        training = model.module.training
        with torch.no_grad():
            shape = tuple(model.module.eval()(x.to(next(model.module.parameters(), x).device)).shape)
        model.module.train(training)
    except Exception as e:
        raise UserError(f"{model.name} cannot look at samples of {described(samples.form)}: {first_line(e)}") from e
    if len(shape) != 2 or (model.classes and shape[1] != len(model.classes)):
        expected = f"scores of {len(model.classes)} classes" if model.classes else "scores of classes"
        raise UserError(f"{model.name} should give {expected}, (2, K) for two samples, and gives {shape}")
    if samples.labelled and not model.classes and int(samples.y.max()) >= shape[1]:
        raise UserError(
            f"{model.name} has scores of {shape[1]} classes, and the stream has {int(samples.y.max()) + 1}: take a model with its classes"
        )


def segments_of(samples: Samples, words: Mapping[str, Any]) -> list[Segment]:
    """The stretches of the stream; raises UserError for corruptions that there are not."""
    n = len(samples)
    index = np.linspace(0, n - 1, min(words["limit"] or n, n)).astype(np.int64)
    asked, known = names.split(words["corrupt"]), kinds(samples.form["modality"])
    asked = list(known) if asked == ["all"] else asked
    for kind in asked:
        corrupt(torch.zeros(0, 1, 8, 8), kind, words["severity"]) if samples.form["modality"] == "image" else None
        if kind not in known:
            raise unknown(f"corruption of {samples.form['modality']} data", kind, known)
    if not 1 <= words["severity"] <= 5:
        raise UserError(f"--severity is 1 to 5, not {words['severity']}")
    if not asked:
        parts = np.array_split(index, min(10, max(1, len(index) // words["batch_size"])))
        return [Segment(f"part {i + 1}", "", 0, part) for i, part in enumerate(parts)]
    most = words["severity"]
    if not words["gradual"]:
        return [Segment(kind, kind, most, index) for kind in asked]
    steps = [*range(1, most + 1), *range(most - 1, 0, -1)]
    cut = np.array_split(index, len(steps))
    return [Segment(f"{kind} {s}", kind, s, part) for kind in asked for s, part in zip(steps, cut, strict=True) if len(part)]
