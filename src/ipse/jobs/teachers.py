"""Who may teach: the classifier of a run, a model of timm with its classes, or any module of torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ipse import models
from ipse.data import Form, Samples
from ipse.errors import UserError, first_line
from ipse.jobs.run import Run
from ipse.transforms import viewer


@dataclass(frozen=True)
class Teacher:
    """A model that turns samples into scores of classes.

    name: where it is opened again; None for a module that is in memory alone. classes: what the scores are for; () where nobody
    has said. form: of what it sees; None where it takes the data as it is.
    """

    model: models.Frozen
    classes: tuple[str, ...] = ()
    form: Form | None = None
    name: str | None = None


def teacher(of: Any) -> Teacher:
    """Opens a teacher: a run's folder, a timm model name, or a torch module (its attribute `classes`, if any, names its outputs).

    Raises UserError for what is none of these.
    """
    if isinstance(of, nn.Module):
        return Teacher(models.Frozen(of), tuple(map(str, getattr(of, "classes", ()))), getattr(of, "form", None))
    if isinstance(of, Run) or (isinstance(of, (str, os.PathLike)) and (Path(of).exists() or len(Path(of).parts) > 1)):
        classifier = Run.open(of).naming_samples("distill")
        return Teacher(models.Frozen(classifier), classifier.classes, classifier.form, str(of))
    if not isinstance(of, str):
        raise UserError(f"the teacher must be a run's folder, a timm model name or a torch module, not {type(of).__name__}")
    from ipse.models.timm_door import TimmClassifier

    try:
        with torch.random.fork_rng(devices=[]):
            model = TimmClassifier(of, pretrained=True)
    except UserError as e:
        raise UserError(f"no run {of!r}: there is no such folder, and as a model of timm: {e}") from None
    return Teacher(models.Frozen(model), model.classes, model.form, of)


def fitting(teacher: Teacher, samples: Samples, classes: Sequence[str]) -> tuple[str, ...]:
    """The classes of a teacher, tried on two samples: its own or, if it names none, those of the data, or numbers.

    Raises UserError when it cannot see the samples or gives something else than scores of its classes.
    """
    from ipse.data.form import described

    x = viewer(samples.form).original(samples.read([0, len(samples) - 1])).x
    try:
        with torch.no_grad():
            scores = teacher.model(x)
        shape = tuple(scores.shape)
    except Exception as e:
        raise UserError(f"the teacher cannot look at samples of {described(samples.form)}: {first_line(e)}") from e
    if len(shape) != 2 or (teacher.classes and shape[1] != len(teacher.classes)):
        expected = f"scores of {len(teacher.classes)} classes" if teacher.classes else "scores of classes"
        raise UserError(f"the teacher should give {expected}, (2, K) for two samples, and gives {shape}")
    if teacher.classes:
        return teacher.classes
    return tuple(classes) if len(classes) == shape[1] else tuple(map(str, range(shape[1])))
