"""An encoder that says a number."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ipse.errors import UserError
from ipse.models.classifier import Classifier
from ipse.models.encoder import Encoder


class Regressor(Classifier):
    """An encoder and a linear head with one output, for classes whose names are numbers: samples x (B, ...) to numbers (B,).

    The head says z, the number is  mean + scale z  with the mean and the deviation of the values of the classes. Read as a
    classifier it has the scores  -|number - value_k| / scale, (B, K), so that the nearest value is what it names and whatever
    judges classifiers judges it too. Raises UserError for classes that are no numbers, and for fewer than two.
    """

    values: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, encoder: Encoder, classes: Sequence[str]):
        super().__init__(encoder, classes)
        values = torch.tensor(as_numbers(classes), dtype=torch.float32)
        if len(values) < 2:
            raise UserError("a regression needs targets that differ, and all of these are the same")
        self.head = nn.Linear(encoder.dim, 1)
        self.register_buffer("values", values, persistent=False)
        self.register_buffer("mean", values.mean(), persistent=False)
        self.register_buffer("scale", values.std(), persistent=False)

    def numbers(self, x: Tensor) -> Tensor:
        """The number of each sample, (B,), in the unit of the targets."""
        z: Tensor = self.head(self.features(x))
        return self.mean + self.scale * z[:, 0]

    def forward(self, x: Tensor) -> Tensor:
        return -(self.numbers(x)[:, None] - self.values).abs() / self.scale


def as_numbers(classes: Sequence[str]) -> list[float]:
    """What the names of classes are as numbers; raises UserError for the first that is none."""
    numbers = []
    for name in classes:
        try:
            numbers.append(float(name))
        except ValueError:
            numbers.append(math.nan)
        if not math.isfinite(numbers[-1]):
            raise UserError(f"a regression needs targets that are numbers, and {name!r} is none")
    return numbers
