"""Teach a smaller or better classifier what another one knows."""

from __future__ import annotations

import os
from typing import Annotated, Any

from ipse.jobs import words
from ipse.jobs.learning import perform
from ipse.jobs.run import Run


def distill(
    teacher: Annotated[
        Any, "who teaches: a run's folder with a classifier, any timm model name, or none for methods without"
    ] = None,
    data: words.Sources = None,
    *,
    student: Annotated[str, "auto, one of the encoders of `ipse methods`, or any timm model name"] = "auto",
    from_: Annotated[str | os.PathLike[str] | None, "a run whose encoder the student starts from"] = None,
    method: words.Method = "kd",
    scratch: Annotated[bool, "train the student from the labels alone too, as long again, to compare"] = False,
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
    """Teach a smaller or better classifier, the student, what another one knows.

    The classes are the teacher's; labels of the data count by their names, and most methods need none. A method that is its own
    teacher takes the word none for it, and the classes of the labels. The report compares the sizes and accuracies of the two.

    Returns the run; `run.classifier` is the student. From Python the teacher may also be a torch module that turns samples into scores. Raises UserError
    for what a user can put right; nothing is written then.
    """
    return perform(distill, locals())
