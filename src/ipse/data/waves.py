"""Recordings as one long wave, and the windows of it that are samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ipse.data import form
from ipse.data.form import RATE, Form
from ipse.data.mapped import Mapped
from ipse.data.samples import Ints, Raw, Samples
from ipse.data.store import Stored, Writer
from ipse.data.strings import Strings

Shorts = NDArray[np.int16]

_SHORT, _LONG = 0.5, 4.0  # seconds


class Waves(Samples):
    """Windows of recordings, held in memory or mapped from a file.

    x: int16, all recordings one after the other, at 16 kHz; recording f is x[start[f] : start[f] + length[f]].
    window: how many numbers a model should see at once; None decides by the lengths.
    y: (F,) int64 of the recordings, -1 where there is no label.  names: of the F recordings.

    A recording of up to 1.25 windows is one sample, of which the middle is read. A longer one is cut into windows, each a sample
    of its own, called "name#12.5s" by where it begins; what is left at the end is one if it is a quarter of a window or more.
    As samples they have y, names, and as `group` the number of their recording.
    """

    def __init__(
        self,
        x: Shorts,
        start: Ints,
        length: Ints,
        y: Ints,
        names: Strings,
        *,
        window: int | None = None,
        folder: Path | None = None,
    ) -> None:
        self.window = window or usual_window(length)
        place, self.group, self._length = windows(length, self.window)
        self._start = start[self.group] + place
        self.y = y[self.group]
        whole = len(self.group) == len(length)
        self.names = names if whole else WindowNames(names, self.group, _seconds(place, length[self.group], self.window))
        self._all = Mapped(x, folder)

    @property
    def form(self) -> Form:  # type: ignore[override]
        return form.audio(self.window)

    @property
    def length(self) -> Ints:
        """How many numbers each sample has, at most `window` of which are read."""
        return self._length if self._rows is None else self._length[self._rows]

    def _read(self, rows: Ints) -> Raw:
        """x: int16 (B, window), zeros behind the end of a short sample.  length: int64 (B,), how many numbers are not padding."""
        whole = self._length[rows]
        length = np.minimum(whole, self.window)
        start = self._start[rows] + (whole - length) // 2
        x = np.zeros((len(rows), self.window), np.int16)
        for row, first, count in zip(x, start.tolist(), length.tolist(), strict=True):
            row[:count] = self._all.array[first : first + count]
        self._all.touched(len(rows), x.nbytes)
        return {"x": torch.from_numpy(x), "length": torch.from_numpy(length)}


class WindowNames(Strings):
    """The names of windows, made when they are asked for: of a window that begins at second 12.5 of a.wav, "a.wav#12.5s".

    files: names of the recordings.  file: (N,) the recording of each window.  second: (N,) where it begins; NaN for a whole one.
    """

    def __init__(self, files: Strings, file: Ints, second: NDArray[np.float64]) -> None:
        self._files, self._file, self._second = files, file, second

    def take(self, rows: Ints) -> Strings:
        return WindowNames(self._files, self._file[rows], self._second[rows])

    def __len__(self) -> int:
        return len(self._file)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        name, second = self._files[int(self._file[index])], self._second[index]
        return name if np.isnan(second) else f"{name}#{f'{second:.3f}'.rstrip('0').rstrip('.')}s"


def _seconds(place: Ints, length: Ints, window: int) -> NDArray[np.float64]:
    return np.where(4 * length > 5 * window, place / RATE, np.nan)


def windows(length: Ints, window: int) -> tuple[Ints, Ints, Ints]:
    """Where the samples of recordings of `length` (F,) begin in them, which recording each is of, and how long it is: (N,) each.

    >>> [of.tolist() for of in windows(np.array([5, 10, 9]), 4)]
    [[0, 0, 4, 8, 0, 4, 8], [0, 1, 1, 1, 2, 2, 2], [5, 4, 4, 2, 4, 4, 1]]
    """
    long = 4 * length > 5 * window
    many, rest = np.divmod(length, window)
    count = np.where(long, many + (4 * rest >= window), 1)
    file = np.repeat(np.arange(len(length)), count)
    place = (np.arange(len(file)) - np.repeat(np.cumsum(count) - count, count)) * window
    left = length[file] - place
    return place, file, np.where(long[file], np.minimum(left, window), left)


def usual_window(length: Ints) -> int:
    """The window for recordings of `length` (F,): what 95 of 100 fit into, from 0.5 to 4 s, in tenths of a second.

    >>> usual_window(np.array([16_001])), usual_window(np.array([99])), usual_window(np.array([10**6]))
    (17600, 8000, 64000)
    """
    tenths = np.ceil(10 * np.percentile(length, 95) / RATE)
    return int(np.clip(tenths, 10 * _SHORT, 10 * _LONG)) * RATE // 10


def waves(stored: Stored, window: int | None = None) -> Waves:
    """The recordings of a store with the columns x (all of them) int16, start (F,) int64 and length (F,) int64."""
    x, start, length = (stored.columns[name] for name in ("x", "start", "length"))
    if not (x.ndim == 1 and x.dtype == np.int16 and 0 < len(start) == len(length) == len(stored.y)):
        raise ValueError("no recordings")
    return Waves(x, np.array(start), np.array(length), stored.y, stored.names, window=window, folder=stored.folder)


def wave_writer(folder: Path) -> Writer:
    """Writes a store of recordings."""
    return Writer(folder, {"x": ("<i2", ()), "start": ("<i8", ()), "length": ("<i8", ())})
