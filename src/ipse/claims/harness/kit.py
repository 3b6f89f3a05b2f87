"""What claims are written with: pictures, encoders that learned from them, and measures of those."""

from __future__ import annotations

import inspect
import shutil
import tempfile
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipse.errors import UserError

if TYPE_CHECKING:
    from ipse import Run
    from ipse.data import Data
    from ipse.models import Encoder

told: ContextVar[Callable[[str], None]] = ContextVar("told", default=lambda text: None)
"""Who is told what a claim begins to do."""


def pictures(name: str, train: int, test: int, seed: int) -> Data:
    """Pictures of a data set by its name, so many to learn from and so many to test on, drawn anew for every seed.

    Each part is drawn from the data set's own; both, without a sample in common, from the one part of a data set that has no
    other. Raises UserError when there are not as many.
    """
    from ipse.data import open_data

    return drawn(open_data(name), train, test, seed)


def drawn(data: Data, train: int, test: int, seed: int) -> Data:
    """So many samples of data that is open, as `pictures` draws them."""
    import numpy as np

    chance = np.random.default_rng(seed)
    held = data.train if data.test is None else data.test
    fit = chance.permutation(len(data.train))
    aside = fit[train:] if data.test is None else chance.permutation(len(held))
    if len(fit) < train or len(aside) < test:
        raise UserError(f"{data.name} has no {train} samples to learn from and {test} more to test on")
    key = f"{data.key}-{train}-{test}-{seed}"
    return replace(data, train=data.train.subset(np.sort(fit[:train])), test=held.subset(np.sort(aside[:test])), key=key)


def few_labels(data: Data, each: int, seed: int) -> Data:
    """The same data with the labels of so many training samples of each class, drawn anew for every seed, and none of the others."""
    import numpy as np

    y = data.train.y
    order = np.random.default_rng(seed).permutation(len(y))
    kept = np.concatenate([order[y[order] == c][:each] for c in range(len(data.classes))])
    return replace(data, train=data.train.relabelled(np.where(np.isin(np.arange(len(y)), kept), y, -1)))


def biased_labels(data: Data, each: int, seed: int, strength: float = 0.5) -> Data:
    """As `few_labels`, but those are drawn that are unusual for their class.

    Within a class, without replacement and with chances in proportion to exp(strength |c|), where c is a sample's first principal component
    among those of its class and all features are standardised before. Only the inputs are drawn unevenly, not the classes.

    Odonnat, Feofanov, Redko, AISTATS 2024, arXiv:2310.14814
    """
    import numpy as np

    y, chance = data.train.y, np.random.default_rng(seed)
    x = data.train.read(np.arange(len(y)))["x"].numpy().reshape(len(y), -1).astype(np.float64)
    x = (x - x.mean(0)) / np.maximum(x.std(0), 1e-12)
    kept = []
    for c in range(len(data.classes)):
        own = np.flatnonzero(y == c)
        centred = x[own] - x[own].mean(0)
        first = centred @ np.linalg.svd(centred, full_matrices=False)[2][0]
        odds = np.exp(strength * (np.abs(first) - np.abs(first).max())) + 1e-12  # so that all can be drawn
        kept.append(chance.choice(own, min(each, len(own)), replace=False, p=odds / odds.sum()))
    marked = np.isin(np.arange(len(y)), np.concatenate(kept))
    return replace(data, train=data.train.relabelled(np.where(marked, y, -1)))


def pretrained(data: Data, seed: int, *, options: Any = None, **words: Any) -> Run:
    """An encoder that learned from the training part of the data, as `ipse.pretrain(..., **words)` teaches it.

    options: of the encoder, such as its width and depth, where its usual sizes are too much for a miniature.

    The run is not judged and has no report, which would take longer than a miniature learns: `probe` judges it. Its folder is a
    temporary one, which vanishes with the run. `run.encoder` is what was learned, `run.history()` the numbers on the way.
    """
    from ipse.jobs.pretrain import pretrain

    return _learned(pretrain, {"data": replace(data, test=None)}, seed, words, options)


def selftrained(data: Data, seed: int, *, options: Any = None, **words: Any) -> Run:
    """A classifier that learned from the training part of the data, as `ipse.selftrain(..., **words)` teaches it; else as `pretrained`.

    No label is held out: `run.classifier` is what was learned, `accuracy` judges it.
    """
    from ipse.jobs.selftrain import selftrain

    return _learned(selftrain, {"data": replace(data, test=None)}, seed, {"holdout": 0, **words}, options)


def distilled(teacher: Any, data: Data, seed: int, *, options: Any = None, **words: Any) -> Run:
    """A student that learned from a teacher, as `ipse.distill(teacher, ..., **words)` teaches it; else as `selftrained`."""
    from ipse.jobs.distill import distill

    return _learned(distill, {"teacher": teacher, "data": replace(data, test=None)}, seed, {"holdout": 0, **words}, options)


def accuracy(run: Run, data: Data) -> float:
    """The share of the labelled samples of the test part whose class the run's classifier names."""
    return judged(run, data, "accuracy")


def judged(run: Run, data: Data, name: str) -> float:
    """A measure of the run's classifier on the test part, by its name."""
    from ipse.jobs.evaluate import measure

    model = run.classifier
    return measure(model.encoder, data, [name], model=model)[name]


def _learned(job: Callable[..., Run], about: dict[str, Any], seed: int, words: dict[str, Any], options: Any) -> Run:
    """The run of a job that has learned, in a folder that vanishes with it."""
    import yaml

    from ipse import Run
    from ipse.jobs.learning import learn
    from ipse.jobs.names import given
    from ipse.jobs.settings import settle, teacher_of

    told.get()(" ".join(f"{value}" if name == "method" else f"{name}={value}" for name, value in words.items()))
    words = {**words, **about, "seed": seed, "tensorboard": False}
    usual = {name: p.default for name, p in inspect.signature(job).parameters.items()}
    if wrong := words.keys() - usual.keys():
        raise TypeError(f"ipse.{job.__name__} takes no {wrong.pop()!r}")
    every = {name: value for name, value in (usual | words).items() if name not in ("out", "resume", "quiet")}
    teacher = teacher_of(every)
    opened, config = settle(every, given(every, job), job.__name__, teacher)
    config["encoder_options"] = config["encoder_options"] | (options or {})
    run = Run(Path(tempfile.mkdtemp(prefix="ipse-claim-")))
    weakref.finalize(run, shutil.rmtree, run.path, ignore_errors=True)
    (run.path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    learn(config, run.path, opened.train, False, True, teacher)
    return run


def taught(run: Run, data: Data) -> Any:
    """The whole method of a run by `pretrained` as it ended, with what is not kept with the encoder: its quantisers and heads."""
    from ipse.jobs.settings import build
    from ipse.training import state

    method = build(run.config, data.train)
    tensors = state.read(run.state).tensors
    method.load_state_dict({name.removeprefix("method."): x for name, x in tensors.items() if name.startswith("method.")})
    return method.eval()


def probe(model: Run | Encoder, data: Data, *measures: str) -> dict[str, float]:
    """The measures of an encoder by name (knn, linear, rankme, ...; no name for all), as `ipse.evaluate` takes them.

    The labels of the training part fit the neighbours and the linear classifier, the test part is scored.
    """
    from ipse import Run
    from ipse.jobs.evaluate import measure

    return measure(model.encoder if isinstance(model, Run) else model, data, measures or None)


def linear(model: Run | Encoder, data: Data) -> float:
    """The accuracy of a linear classifier on the frozen encoder."""
    return probe(model, data, "linear")["linear"]


def untrained(data: Data, seed: int, name: str, **options: Any) -> Encoder:
    """An encoder for the data that has learned nothing, another one for every seed."""
    import torch

    from ipse.models import create

    torch.manual_seed(seed)
    return create(name, data.form, **options).eval()
