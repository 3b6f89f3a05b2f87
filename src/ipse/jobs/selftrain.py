"""Train a classifier with few labels and much data."""

from __future__ import annotations

import os
from typing import Annotated

from ipse.jobs import words
from ipse.jobs.learning import perform
from ipse.jobs.run import Run


def selftrain(
    data: words.Sources = None,
    *,
    labels: words.Labels = None,
    method: words.Method = "fixmatch",
    from_: Annotated[
        str | os.PathLike[str] | None, "a run whose encoder to start from; DATA is opened as that one sees it"
    ] = None,
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
    holdout: words.Holdout = None,
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
    """Train a classifier with few labels and much data: it learns from its own predictions too.

    Without --labels the data's own count. Beside what `ipse pretrain` writes, the run holds the classifier's head, and
    predictions.csv: the class of every sample with a calibrated confidence, and the label that was given.

    Returns the run; `run.classifier` is the model. Raises UserError for what a user can put right; nothing is written then.
    """
    return perform(selftrain, locals())
