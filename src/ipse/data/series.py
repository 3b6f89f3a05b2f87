"""Series: windows of many numbers over time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ipse.data.form import Form
from ipse.data.mapped import Mapped
from ipse.data.samples import Ints, Raw, Samples
from ipse.data.store import Stored
from ipse.data.strings import Strings

Floats = NDArray[np.float32]


class Series(Samples):
    """Windows of series, in memory or mapped from a store.

    x: (steps, C) float32, all series one after the other, standardised; NaN where nothing is known.
    first, steps: (N,) int64, where each window begins and how many steps it has; the rest up to the form's length is NaN.
    """

    def __init__(
        self,
        x: Floats,
        first: Ints,
        steps: Ints,
        form: Form,
        y: Ints | None = None,
        names: Strings | None = None,
        group: Ints | None = None,
        *,
        folder: Path | None = None,
    ) -> None:
        self.form = form
        self.y = np.full(len(first), -1, np.int64) if y is None else y
        self.names = Strings.of(map(str, range(len(first)))) if names is None else names
        self.group = group
        self._first, self._steps = np.asarray(first), np.asarray(steps)
        self._all = Mapped(x, folder)

    def _read(self, rows: Ints) -> Raw:
        length = self.form["length"]
        offset = np.arange(length)
        steps = self._steps[rows]
        place = self._first[rows][:, None] + np.minimum(offset, np.maximum(steps[:, None] - 1, 0))
        x = np.take(self._all.array, place, axis=0)  # (B, T, C)
        x[offset >= steps[:, None]] = np.nan
        self._all.touched(len(rows), x.nbytes)
        return {"x": torch.from_numpy(np.ascontiguousarray(x.transpose(0, 2, 1)))}


def series(stored: Stored) -> Series:
    """The series of a store with the columns x (all steps of them, C) float32, first, steps and group (N,) int64."""
    x, first, steps, group = (stored.columns[name] for name in ("x", "first", "steps", "group"))
    if not (x.ndim == 2 and x.dtype == np.float32 and 0 < len(first) == len(steps) == len(group) == len(stored.y)):
        raise ValueError("no series")
    first, steps, group = np.array(first), np.array(steps), np.array(group)
    alone = len(np.unique(group)) == len(group)
    return Series(x, first, steps, stored.index["form"], stored.y, stored.names, None if alone else group, folder=stored.folder)
