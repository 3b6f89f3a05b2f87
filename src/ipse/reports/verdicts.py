"""How a classifier did, for a report: what it calls each class, and whether it is as sure as it should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

TABLE = 20  # classes at most, to show all that was confused
MISTAKES = 20  # listed of more


class Bin(NamedTuple):
    """Samples of about the same confidence: its mean, the share of them that was named rightly, and how many they are."""

    confidence: float
    accuracy: float
    samples: int


@dataclass(frozen=True)
class Verdicts:
    """The judgement of a classifier by labels that it did not learn from.

    classes: K names. confusion (K, K): how many samples of each class (rows) were called what (columns). calibrated, before: the
    bins of its confidence, after and before calibration. models: a row for each model that is compared, with `name`, `parameters`,
    `multiply_adds` and `accuracy` (None where it is not known).
    """

    classes: Sequence[str] = ()
    confusion: NDArray[np.integer[Any]] | None = None
    calibrated: Sequence[Bin] = ()
    before: Sequence[Bin] = ()
    models: Sequence[Mapping[str, Any]] = ()

    @property
    def table(self) -> list[tuple[str, list[tuple[int, int]], float]]:
        """Of each class its name, how many of it were called each class with a shade from 0 to 4, and the share that was right."""
        if self.confusion is None or len(self.classes) > TABLE:
            return []
        rows: list[tuple[str, list[tuple[int, int]], float]] = []
        for name, row in zip(self.classes, self.confusion, strict=True):
            total = int(row.sum())
            cells = [(int(n), int(np.ceil(4 * n / total)) if total else 0) for n in row]
            rows.append((name, cells, float(row[len(rows)] / total) if total else float("nan")))
        return rows

    @property
    def mistakes(self) -> list[tuple[str, str, int]]:
        """The most common mistakes: the class, what its samples were called, and how many."""
        if self.confusion is None:
            return []
        wrong = np.array(self.confusion)
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:MISTAKES]
        pairs = (np.unravel_index(place, wrong.shape) for place in order)
        return [(self.classes[i], self.classes[j], int(wrong[i, j])) for i, j in pairs if wrong[i, j]]

    @property
    def samples(self) -> int:
        """How many labels it was judged by."""
        return 0 if self.confusion is None else int(self.confusion.sum())


def bins(confidence: Sequence[float], accuracy: Sequence[float], count: Sequence[int]) -> list[Bin]:
    """The bins that hold samples."""
    every = zip(confidence, accuracy, count, strict=True)
    return [Bin(round(float(c), 4), round(float(a), 4), int(n)) for c, a, n in every if n]
