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


def pretrained(data: Data, seed: int, *, options: Any = None, **words: Any) -> Run:
    """An encoder that learned from the training part of the data, as `ipse.pretrain(..., **words)` teaches it.

    options: of the encoder, such as its width and depth, where its usual sizes are too much for a miniature.

    The run is not judged and has no report, which would take longer than a miniature learns: `probe` judges it. Its folder is a
    temporary one, which vanishes with the run. `run.encoder` is what was learned, `run.history()` the numbers on the way.
    """
    import yaml

    from ipse import Run
    from ipse.jobs.pretrain import given, pretrain, train
    from ipse.jobs.settings import settle
    from ipse.training import processes

    told.get()(" ".join(f"{value}" if name == "method" else f"{name}={value}" for name, value in words.items()))
    words |= {"data": replace(data, test=None), "seed": seed, "tensorboard": False}
    usual = {name: p.default for name, p in inspect.signature(pretrain).parameters.items()}
    if wrong := words.keys() - usual.keys():
        raise TypeError(f"ipse.pretrain takes no {wrong.pop()!r}")
    every = {name: value for name, value in (usual | words).items() if name not in ("out", "resume", "quiet")}
    opened, config = settle(every, given(every))
    config["encoder_options"] = config["encoder_options"] | (options or {})
    run = Run(Path(tempfile.mkdtemp(prefix="ipse-claim-")))
    weakref.finalize(run, shutil.rmtree, run.path, ignore_errors=True)
    (run.path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    processes.run(train, config["devices"], config["precision"], config, run.path, opened.train, False, True)
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
