"""Judge an encoder, with labels and without."""

from __future__ import annotations

import json as json_format
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ipse.errors import UserError, unknown
from ipse.jobs.files import whole
from ipse.jobs.measures import MEANINGS

if TYPE_CHECKING:
    from torch import Tensor

    from ipse.data import Data, Samples
    from ipse.jobs.run import Run
    from ipse.models import Classifier, Encoder


def evaluate(
    run: Annotated[str | os.PathLike[str], "a run's folder, or any timm model name"],
    data: Annotated[Any, "what to judge it on; default: the run's own data"] = None,
    *,
    metrics: Annotated[Sequence[str], f"any of {', '.join(MEANINGS)}; default: all that the data allows"] = (),
    labels: Annotated[
        str | Path | None,
        "FILE.csv with the columns path,label, FILE.csv:COLUMN, or a COLUMN of the data's own table; most may be empty",
    ] = None,
    json: Annotated[str | Path | None, "also write the numbers to this file"] = None,
    seed: Annotated[int, "which samples are held out, where the data has no test part"] = 0,
    quiet: Annotated[bool, "no table"] = False,
) -> dict[str, float]:
    """Judge an encoder on data, with labels and without, and its classifier where it has one.

    Labels of the training part fit the neighbours and the linear classifier, the test part is scored; data without one is split 80
    to 20. A classifier is scored on the test part or, without one, on all of the data; of the run's own, on labels it did not learn from.

    Raises UserError for unknown metrics and for metrics whose labels the data does not have.
    """
    from ipse.jobs import names

    words = names.split(metrics)
    if wrong := [word for word in words if word not in MEANINGS]:
        raise unknown("metric", wrong[0], MEANINGS)
    encoder, opened, model = _open(run, data, labels)
    with nullcontext() if json is None else whole(json) as draft:
        numbers = measure(encoder, opened, words or None, seed=seed, model=model)
        if draft is not None:
            content = {
                "run": str(run),
                "data": str(data) if isinstance(data, (str, Path)) else opened.name,
                "metrics": {name: value if math.isfinite(value) else None for name, value in numbers.items()},
            }
            draft.write_text(json_format.dumps(content, indent=2) + "\n")
    if not quiet:
        show(numbers)
    return numbers


def measure(
    encoder: Encoder,
    data: Data,
    words: Sequence[str] | None = None,
    *,
    seed: int = 0,
    limit: int | None = None,
    model: Classifier | None = None,
    also: Sequence[str] = (),
) -> dict[str, float]:
    """The measures by name: those asked for, or all that the data allows and, where it allows them, those of `also`.

    limit: at most so many samples of each part. model: the encoder's classifier.
    """
    from ipse.models import Segmenter

    given = words is not None
    pixels = isinstance(model, Segmenter)
    about_classes = [
        name
        for name, meaning in MEANINGS.items()
        if meaning.needs_classes and (name in words if words is not None else pixels or not meaning.of_pixels)
    ]
    if given and not pixels and model is not None and (wrong := [name for name in about_classes if MEANINGS[name].of_pixels]):
        raise UserError(f"--metrics {wrong[0]}: is for models of pixels, and this one names whole samples")
    if about_classes and given and model is None:
        raise UserError(
            f"--metrics {about_classes[0]}: needs a classifier, and labels that it has not learned from: give a run that has one, and DATA"
        )
    words = None if words is None else [word for word in words if word not in about_classes]
    found = {} if model is None or not about_classes else _judged(model, data, about_classes, limit, strict=given)
    return found | ({} if words == [] else _measure(encoder, data, words, seed, limit, also))


def _judged(model: Classifier, data: Data, words: Sequence[str], limit: int | None, *, strict: bool) -> dict[str, float]:
    """The measures of a classifier, calibrated; none where no label is of its classes, or UserError if that is `strict`."""
    from ipse.metrics.classification import MEASURES, judged
    from ipse.models import Segmenter

    samples = graded(model.classes, data, limit)
    if data.classes and isinstance(model, Segmenter) != (samples.masks is not None):
        if not strict:
            return {}
        names, labels = ("pixels", "a FOLDER of masks") if samples.masks is None else ("whole samples", "FILE.csv")
        raise UserError(f"the model names {names}, and the labels of {data.name} are of another kind: give --labels, {labels}")
    if not samples.labelled:
        if strict:
            raise UserError(
                f"--metrics {','.join(words)}: needs labels of the classes {', '.join(model.classes[:5])}, and {data.name} has none"
            )
        return {}
    s, y = judged(model, samples)
    return {word: MEASURES[word](s / model.temperature, y) for word in words}


def graded(classes: Sequence[str], data: Data, limit: int | None = None) -> Samples:
    """What a classifier is judged on, at most `limit` samples: the test part or, if it has no labels, all; labels numbered among `classes`."""
    import numpy as np

    from ipse.data.labels import renumbered
    from ipse.data.masks import numbered

    part = data.test if data.test is not None and data.test.labelled else data.train
    if part.masks is not None:
        part = numbered(part, data.classes, classes)
    elif tuple(classes) != data.classes:
        part = part.relabelled(renumbered(part.y, data.classes, classes))
    known = np.flatnonzero(part.y >= 0)
    if limit and len(known) > limit:
        known = known[np.linspace(0, len(known) - 1, limit).astype(np.int64)]
    return part.subset(known)


def _measure(
    encoder: Encoder, data: Data, words: Sequence[str] | None, seed: int, limit: int | None, also: Sequence[str]
) -> dict[str, float]:
    """The measures of an encoder by name."""
    from ipse.metrics.embedding import embeddings

    train, test = parts(data, seed, limit)
    lack, modality = _lack_of_labels(train, test), data.form["modality"]
    given = words is not None
    if words is None:
        usual = [name for name, meaning in MEANINGS.items() if meaning.usual or name in also]
        fitting = {name: MEANINGS[name] for name in usual if MEANINGS[name].modality in ("", modality)}
        words = [name for name, meaning in fitting.items() if not (lack and meaning.needs_labels)]
    elif foreign := [word for word in words if MEANINGS[word].modality not in ("", modality)]:
        raise UserError(f"--metrics {foreign[0]}: is for {MEANINGS[foreign[0]].modality} data, and {data.name} is {modality}")
    elif lack and (unable := [word for word in words if MEANINGS[word].needs_labels]):
        raise UserError(f"--metrics {','.join(unable)}: needs labels, and {data.name} {lack}; give --labels, or class folders")
    z = (embeddings(encoder, part) for part in (train, test))
    return numbers(words, encoder, train, test, *z, classes=data.classes, seed=seed, strict=given)


def numbers(
    words: Sequence[str],
    encoder: Encoder,
    train: Samples,
    test: Samples,
    z_train: Tensor,
    z_test: Tensor,
    *,
    classes: Sequence[str] = (),
    seed: int = 0,
    strict: bool = True,
) -> dict[str, float]:
    """The measures by name, from embeddings that are there already. strict: what the data does not allow is a mistake; else it is left out."""
    from functools import cache

    import torch

    from ipse.metrics.alignment import uniformity
    from ipse.metrics.forecasting import forecast_probe
    from ipse.metrics.linear import linear_probe
    from ipse.metrics.neighbours import knn_accuracy
    from ipse.metrics.rank import effective_dimension, rankme
    from ipse.metrics.semi_supervised import label_spreading, self_training
    from ipse.metrics.superb import superb

    @cache
    def forecasts() -> dict[str, dict[str, float]]:
        return forecast_probe(encoder, train, test)

    y_train, y_test = torch.as_tensor(train.y), torch.as_tensor(test.y)
    known, asked = y_train >= 0, y_test >= 0
    labelled = (z_train[known], y_train[known], z_test[asked], y_test[asked])
    every = torch.cat([z_train, z_test])
    take = {
        "knn": lambda: knn_accuracy(*labelled),
        "linear": lambda: linear_probe(*labelled),
        "rankme": lambda: rankme(every),
        "effective-dimension": lambda: effective_dimension(every),
        "alignment": lambda: _alignment(encoder, test),
        "uniformity": lambda: uniformity(every),
        "forecast": lambda: forecasts()["encoder"]["mse"],
        "forecast-linear": lambda: forecasts()["linear"]["mse"],
        "self-training": lambda: self_training(z_train, y_train, z_test, y_test),
        "label-spreading": lambda: label_spreading(z_train, y_train, z_test, y_test),
        "superb": lambda: superb(encoder, train, test, classes, seed=seed)["superb"],
    }

    def known_of(word: str) -> dict[str, float]:
        try:
            return {word: float(take[word]())}
        except UserError:
            if strict:
                raise
            return {}

    return {name: value for word in words for name, value in known_of(word).items()}


def parts(data: Data, seed: int = 0, limit: int | None = None) -> tuple[Samples, Samples]:
    """A training and a test part: the data's own, or 80 and 20 percent of it."""
    import numpy as np

    from ipse.data import holdout

    if data.test is not None:
        train, test = data.train, data.test
    else:
        fit, held = holdout(data.train, 0.2, seed=seed)
        if not len(held):  # no class has two samples: the split cannot go by class
            fit, held = holdout(data.train.relabelled(np.full_like(data.train.y, -1)), 0.2, seed=seed)
        train, test = data.train.subset(fit), data.train.subset(held if len(held) else fit)
    if limit:
        train, test = (part.subset(part.spread(limit)) for part in (train, test))
    return train, test


def show(numbers: Mapping[str, float]) -> None:
    """Prints a table of measures with what they mean."""
    for name, value in numbers.items():
        meaning = MEANINGS[name]
        text = f"{value:.1%}" if meaning.percent else f"{value:.3g}"
        print(f"  {name:24} {text:>8}   {meaning.text}")


def _lack_of_labels(train: Samples, test: Samples) -> str:
    """What the labels lack to judge by; '' where they will do."""
    import numpy as np

    classes = len(np.unique(train.y[train.y >= 0]))
    if classes == 0:
        return "has none"
    if classes == 1:
        return "has one class only"
    return "" if test.labelled else "has none in its test part"


def _alignment(encoder: Encoder, samples: Samples, most: int = 2000) -> float:
    """Alignment of two of the usual views of some samples."""
    import torch

    from ipse.metrics.alignment import alignment
    from ipse.training import Feed
    from ipse.transforms import TwoViews, viewer

    n = min(most, len(samples))
    batch = min(n, 250)
    feed = Feed(samples, TwoViews(), viewer(encoder.form, samples=samples), batch, seed=0)
    with torch.no_grad():
        pairs = [[encoder(x).float() for x in feed.batch(step)] for step in range(max(1, n // batch))]
    z1, z2 = (torch.nn.functional.normalize(torch.cat(z), dim=1) for z in zip(*pairs, strict=True))
    return float(alignment(z1, z2))


def own_test(run: Run, data: Data) -> Data:
    """The data of a run of a classifier as it judges itself: where no test part has labels, those held out from learning are one; else there is none."""
    from dataclasses import replace

    from ipse.jobs.settings import held_out, lessons

    if not run.has_classes or (data.test is not None and data.test.labelled):
        return data
    config = run.config
    held = held_out(data, config)
    return replace(data, train=lessons(data, config), test=held if len(held) else None)


def _open(run: str | os.PathLike[str], data: Any, labels: str | Path | None) -> tuple[Encoder, Data, Classifier | None]:
    """The encoder of a run, or a pretrained timm model, with the data to judge it on, and the classifier of a run that has one."""
    from ipse import models
    from ipse.data import open_data
    from ipse.jobs.run import Run, data_for, matching

    if Path(run).exists() or len(Path(run).parts) > 1:
        opened_run = Run.open(run)
        model = opened_run.classifier if opened_run.has_classes else None
        encoder = opened_run.encoder if model is None else model.encoder
        if data is not None:
            return encoder, data_for(encoder, data, labels), model
        own = opened_run.data(labels)
        matching(own.train, encoder)
        if model is None or labels is not None:
            return encoder, own, model
        graded_by = own_test(opened_run, own)
        return encoder, graded_by, None if graded_by.test is None else model
    name = str(run)
    try:
        size = models.usual_size(name)
    except UserError as e:
        raise UserError(f"no run {name!r}: there is no such folder, and as an encoder of timm: {e}") from None
    if size is None:
        raise UserError(f"{name!r} is an encoder without weights: give the folder of a run, or a timm model name")
    if data is None:
        raise UserError(f"name the data to judge {name} on, for example `ipse evaluate {name} photos/`")
    opened = open_data(data, labels=labels, modality="image", size=size)
    return models.create(name, opened.form, pretrained=True).eval(), opened, None
