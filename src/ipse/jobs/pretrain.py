"""Pre-train an encoder on data without labels."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipse.jobs import words
from ipse.jobs.learning import learn as _learn
from ipse.jobs.learning import perform
from ipse.jobs.run import Run

if TYPE_CHECKING:
    from ipse.models import Encoder


def pretrain(
    data: words.Sources = "mnist5k",
    *,
    method: words.Method = "simclr",
    encoder: words.Encoder = "auto",
    epochs: words.Epochs = None,
    steps: words.Steps = None,
    minutes: words.Minutes = None,
    batch_size: words.BatchSize = None,
    lr: words.LR = None,
    optimizer: words.Optimizer = None,
    weight_decay: words.WeightDecay = None,
    clip: words.Clip = None,
    schedule: words.Schedule = "cosine",
    plus: words.Plus = (),
    set: words.Settings = (),
    views: words.Views = (),
    watch: words.Watch = (),
    labels: words.Labels = None,
    modality: words.Modality = None,
    size: words.Size = None,
    seed: words.Seed = 0,
    out: words.Out = None,
    resume: words.Resume = None,
    devices: words.Devices = 1,
    precision: words.Precision = "auto",
    compile: words.Compile = False,
    tensorboard: words.TensorBoard = True,
    pretrained: words.Pretrained = False,
    quiet: words.Quiet = False,
) -> Run:
    """Pre-train an encoder on data without labels, judge it, and write a report.

    Returns the run: a folder with the encoder, the logs, the resumable state and report.html. From Python the data may also be a numpy array, a torch
    tensor, a pair (x, y) or a `datasets.Dataset`. Raises UserError for what a user can put right; nothing is written then.
    """
    return perform(pretrain, locals())


def learn(data: Any, folder: Path, *, quiet: bool = True, **given: Any) -> Encoder:
    """Trains in `folder` and gives the encoder, without judging it or writing a report; the words are those of `pretrain`."""
    from ipse.jobs.settings import settle
    from ipse.models import load

    usual = {k: p.default for k, p in inspect.signature(pretrain).parameters.items() if k not in ("out", "resume", "quiet")}
    opened, config = settle(usual | given | {"data": data}, given)
    _learn(config, folder, opened.train, False, quiet)
    return load(folder)
