"""Judge an encoder, with labels and without."""

from __future__ import annotations

import json as json_format
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from ipse.errors import UserError, unknown
from ipse.jobs.files import whole

if TYPE_CHECKING:
    from torch import Tensor

    from ipse.data import Data, Samples
    from ipse.models import Encoder


class Meaning(NamedTuple):
    """How to read a measure, and what it can be taken of.

    percent: whether it is a share. modality: the only kind of data that it is for. usual: whether it is taken unasked. watchable: whether it can be
    taken on the way.
    """

    text: str
    higher_is_better: bool
    needs_labels: bool = False
    percent: bool = False
    modality: str = ""
    usual: bool = True
    watchable: bool = False


MEANINGS: Mapping[str, Meaning] = {
    "knn": Meaning(
        "Share of held-out samples whose label most of their 20 nearest neighbours have (weighted by cosine similarity).",
        higher_is_better=True,
        needs_labels=True,
        percent=True,
    ),
    "linear": Meaning(
        "Share of held-out samples that a linear classifier on the frozen embeddings gets right.",
        higher_is_better=True,
        needs_labels=True,
        percent=True,
    ),
    "rankme": Meaning(
        "Smooth count of the directions that the embeddings use; near 1 means collapse.", higher_is_better=True, watchable=True
    ),
    "effective-dimension": Meaning(
        "Directions that carry the variance of the embeddings, weighted by their share.", higher_is_better=True, watchable=True
    ),
    "alignment": Meaning(
        "Mean squared distance between the embeddings of two views of one sample; 0 means that views do not matter.",
        higher_is_better=False,
    ),
    "uniformity": Meaning(
        "How evenly the embeddings cover the sphere; more negative is more even.", higher_is_better=False, watchable=True
    ),
    "forecast": Meaning(
        "Mean squared error, in units of a channel's variance, of a ridge forecast of each window's last quarter from what the encoder makes of the rest.",
        higher_is_better=False,
        modality="series",
    ),
    "forecast-linear": Meaning(
        "The same of a linear forecast from the window itself, which needs no encoder.",
        higher_is_better=False,
        modality="series",
    ),
    "superb": Meaning(
        "Speech tasks on the frozen layers in one number: 0 as good as filter banks, 1000 perfect.",
        higher_is_better=True,
        needs_labels=True,
        modality="audio",
        usual=False,
    ),
}


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
    """Judge an encoder on data, with labels and without.

    Labels of the training part fit the neighbours and the linear classifier, the test part is scored; data without one is split 80
    to 20.

    Raises UserError for unknown metrics and for metrics whose labels the data does not have.
    """
    from ipse.jobs import names

    words = names.split(metrics)
    if wrong := [word for word in words if word not in MEANINGS]:
        raise unknown("metric", wrong[0], MEANINGS)
    encoder, opened = _open(run, data, labels)
    with nullcontext() if json is None else whole(json) as draft:
        numbers = measure(encoder, opened, words or None, seed=seed)
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
    encoder: Encoder, data: Data, words: Sequence[str] | None = None, *, seed: int = 0, limit: int | None = None
) -> dict[str, float]:
    """The measures by name: those asked for, or all that the data allows. limit: at most so many samples of each part."""
    from ipse.metrics.embedding import embeddings

    train, test = parts(data, seed, limit)
    lack, modality = _lack_of_labels(train, test), data.form["modality"]
    given = words is not None
    if words is None:
        fitting = {name: meaning for name, meaning in MEANINGS.items() if meaning.usual and meaning.modality in ("", modality)}
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
        print(f"  {name:20} {text:>8}   {meaning.text}")


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


def _open(run: str | os.PathLike[str], data: Any, labels: str | Path | None) -> tuple[Encoder, Data]:
    """The encoder of a run, or a pretrained timm model, with the data to judge it on."""
    from ipse import models
    from ipse.data import open_data
    from ipse.jobs.run import Run, data_for, matching

    if Path(run).exists() or len(Path(run).parts) > 1:
        opened_run = Run.open(run)
        encoder = opened_run.encoder
        if data is not None:
            return encoder, data_for(encoder, data, labels)
        own = opened_run.data(labels)
        matching(own.train, encoder)
        return encoder, own
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
    return models.create(name, opened.form, pretrained=True).eval(), opened
