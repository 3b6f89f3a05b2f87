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
    import numpy as np

    from ipse.data import open_data

    data = open_data(name)
    chance = np.random.default_rng(seed)
    held = data.train if data.test is None else data.test
    fit = chance.permutation(len(data.train))
    aside = fit[train:] if data.test is None else chance.permutation(len(held))
    if len(fit) < train or len(aside) < test:
        raise UserError(f"{name} has no {train} samples to learn from and {test} more to test on")
    key = f"{data.key}-{train}-{test}-{seed}"
    return replace(data, train=data.train.subset(np.sort(fit[:train])), test=held.subset(np.sort(aside[:test])), key=key)


def pretrained(data: Data, seed: int, **words: Any) -> Run:
    """An encoder that learned from the training part of the data, as `ipse.pretrain(..., **words)` teaches it.

    The run is not judged and has no report, which would take longer than a miniature learns: `probe` judges it. Its folder is a
    temporary one, which vanishes with the run. `run.encoder` is what was learned, `run.history()` the numbers on the way.
    """
    import yaml

    from ipse import Run
    from ipse.jobs.pretrain import given, pretrain, train
    from ipse.jobs.settings import settle
    from ipse.training import processes

    told.get()(" ".join(f"{value}" if name == "method" else f"{name}={value}" for name, value in words.items()))
    images = data.train
    words |= {"data": (images.x, images.y) if images.labelled else images.x, "seed": seed, "tensorboard": False}
    usual = {name: p.default for name, p in inspect.signature(pretrain).parameters.items()}
    if wrong := words.keys() - usual.keys():
        raise TypeError(f"ipse.pretrain takes no {wrong.pop()!r}")
    every = {name: value for name, value in (usual | words).items() if name not in ("out", "resume", "quiet")}
    opened, config = settle(every, given(every))
    run = Run(Path(tempfile.mkdtemp(prefix="ipse-claim-")))
    weakref.finalize(run, shutil.rmtree, run.path, ignore_errors=True)
    (run.path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    processes.run(train, config["devices"], config["precision"], config, run.path, opened.train, False, True)
    return run


def probe(model: Run | Encoder, data: Data, *measures: str) -> dict[str, float]:
    """The measures of an encoder by name (knn, linear, rankme, ...; no name for all), as `ipse.evaluate` takes them.

    The labels of the training part fit the neighbours and the linear classifier, the test part is scored.
    """
    from ipse import Run
    from ipse.jobs.evaluate import measure

    return measure(model.encoder if isinstance(model, Run) else model, data, measures or None)
