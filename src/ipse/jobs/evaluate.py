"""Judge an encoder, with labels and without."""

from __future__ import annotations

import json as json_format
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from ipse.errors import UserError, unknown

if TYPE_CHECKING:
    from torch import Tensor

    from ipse.data import Data, Images
    from ipse.models import Encoder


class Meaning(NamedTuple):
    """How to read a measure."""

    text: str
    higher_is_better: bool
    needs_labels: bool = False


MEANINGS: Mapping[str, Meaning] = {
    "knn": Meaning(
        "Share of held-out samples whose label most of their 20 nearest neighbours have (weighted by cosine similarity).",
        True,
        True,
    ),
    "linear": Meaning("Share of held-out samples that a linear classifier on the frozen embeddings gets right.", True, True),
    "rankme": Meaning("Smooth count of the directions that the embeddings use; near 1 means collapse.", True),
    "effective-dimension": Meaning("Directions that carry the variance of the embeddings, weighted by their share.", True),
    "alignment": Meaning(
        "Mean squared distance between the embeddings of two views of one sample; 0 means that views do not matter.", False
    ),
    "uniformity": Meaning("How evenly the embeddings cover the sphere; more negative is more even.", False),
}


def evaluate(
    run: Annotated[str | Path, "a run's folder, or any timm model name"],
    data: Annotated[Any, "what to judge it on; default: the run's own data"] = None,
    *,
    metrics: Annotated[Sequence[str], f"any of {','.join(MEANINGS)}; default: all that the data allows"] = (),
    labels: Annotated[str | Path | None, "CSV with the columns path,label"] = None,
    json: Annotated[str | Path | None, "also write the numbers to this file"] = None,
    seed: Annotated[int, "which samples are held out, where the data has no test part"] = 0,
    quiet: Annotated[bool, "no table"] = False,
) -> dict[str, float]:
    """Judge an encoder on data, with labels and without.

    Labels of the training part fit the neighbours and the linear classifier, the test part is scored; data without one is split 80 to 20.
    Raises UserError for unknown metrics and for metrics whose labels the data does not have.
    """
    from ipse.jobs import names

    words = names.split(metrics)
    if wrong := [word for word in words if word not in MEANINGS]:
        raise unknown("metric", wrong[0], MEANINGS)
    encoder, opened = _open(run, data, labels)
    numbers = measure(encoder, opened, words or None, seed=seed)
    if json is not None:
        _write(Path(json), {"run": str(run), "data": str(data) if isinstance(data, (str, Path)) else None, "metrics": numbers})
    if not quiet:
        show(numbers)
    return numbers


def measure(
    encoder: Encoder, data: Data, words: Sequence[str] | None = None, *, seed: int = 0, limit: int | None = None
) -> dict[str, float]:
    """The measures by name: those asked for, or all that the data allows. limit: at most so many samples of each part."""
    train, test = parts(data, seed, limit)
    labelled = _labelled(train, test)
    if words is None:
        words = [k for k, m in MEANINGS.items() if labelled or not m.needs_labels]
    elif not labelled and (unable := [w for w in words if MEANINGS[w].needs_labels]):
        raise UserError(
            f"--metrics {','.join(unable)}: needs labels of at least two classes, and {data.name} has none; give --labels, or class folders"
        )
    from ipse.metrics.embedding import embeddings

    return numbers(words, encoder, train, test, *(embeddings(encoder, part, encoder.size) for part in (train, test)))


def numbers(
    words: Sequence[str], encoder: Encoder, train: Images, test: Images, z_train: Tensor, z_test: Tensor
) -> dict[str, float]:
    """The measures by name, from embeddings that are there already."""
    import torch

    from ipse.metrics.alignment import uniformity
    from ipse.metrics.linear import linear_probe
    from ipse.metrics.neighbours import knn_accuracy
    from ipse.metrics.rank import effective_dimension, rankme

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
    }
    return {word: float(take[word]()) for word in words}


def parts(data: Data, seed: int = 0, limit: int | None = None) -> tuple[Images, Images]:
    """A training and a test part: the data's own, or 80 and 20 percent of it."""
    import numpy as np

    from ipse.data import holdout

    if data.test is not None:
        train, test = data.train, data.test
    else:
        fit, held = holdout(data.train, 0.2, seed=seed)
        train, test = data.train.subset(fit), data.train.subset(held)
    if limit:
        spread = (np.linspace(0, len(p) - 1, min(limit, len(p))).astype(np.int64) for p in (train, test))
        train, test = (p.subset(i) for p, i in zip((train, test), spread, strict=True))
    return train, test


def show(numbers: Mapping[str, float]) -> None:
    """Prints a table of measures with what they mean."""
    for name, value in numbers.items():
        meaning = MEANINGS[name]
        text = f"{value:.1%}" if meaning.needs_labels else f"{value:.3g}"
        print(f"  {name:20} {text:>8}   {meaning.text}")


def _labelled(train: Images, test: Images) -> bool:
    import numpy as np

    return len(np.unique(train.y[train.y >= 0])) > 1 and bool((test.y >= 0).any())


def _alignment(encoder: Encoder, images: Images, samples: int = 2000) -> float:
    """Alignment of two of the usual views of some samples."""
    import torch

    from ipse.metrics.alignment import alignment
    from ipse.training import Feed
    from ipse.transforms import Policy, TwoViews

    n = min(samples, len(images))
    batch = min(n, 250)
    feed = Feed(images, TwoViews(), Policy.usual(images.channels, encoder.size), encoder.size, batch, seed=0)
    with torch.no_grad():
        pairs = [[encoder(x).float() for x in feed.batch(step)] for step in range(max(1, n // batch))]
    z1, z2 = (torch.nn.functional.normalize(torch.cat(z), dim=1) for z in zip(*pairs, strict=True))
    return float(alignment(z1, z2))


def _open(run: str | Path, data: Any, labels: str | Path | None) -> tuple[Encoder, Data]:
    """The encoder of a run, or a pretrained timm model, with the data to judge it on."""
    from ipse import models
    from ipse.data import open_data
    from ipse.jobs.run import Run, matching

    if Path(run).is_dir():
        opened_run = Run.open(run)
        encoder = opened_run.encoder
        opened = opened_run.data() if data is None else open_data(data, labels=labels, size=encoder.size)
    else:
        size = models.usual_size(str(run))
        if size is None:
            raise UserError(f"{str(run)!r} is an encoder without weights: give the folder of a run, or a timm model name")
        if data is None:
            raise UserError(f"name the data to judge {run} on, for example `ipse evaluate {run} photos/`")
        opened = open_data(data, labels=labels, size=size)
        encoder = models.create(str(run), opened.train.channels, size, pretrained=True).eval()
    matching(opened.train, encoder)
    return encoder, opened


def _write(path: Path, content: Any) -> None:
    try:
        temporary = path.with_name(path.name + ".part")
        temporary.write_text(json_format.dumps(content, indent=2) + "\n")
        temporary.replace(path)
    except OSError as e:
        raise UserError(f"cannot write {path}: {e.strerror}") from e
