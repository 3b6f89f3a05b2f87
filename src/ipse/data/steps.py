"""Series out of tables in which every row is a step: sorted by what they belong to and by time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ipse.data.cells import codes
from ipse.data.cutting import Many, One
from ipse.data.frames import Frames, Piece
from ipse.data.keeping import Held
from ipse.data.labels import encode
from ipse.data.mapped import release
from ipse.data.notes import few, missing_cells
from ipse.data.recognise import Recognised
from ipse.data.rows import Labels
from ipse.data.samples import Ints
from ipse.data.store import Skipped, Writer
from ipse.data.wanted import Wanted
from ipse.errors import UserError


@dataclass
class _Numbering:
    """Texts as numbers, in the order in which they are met."""

    numbers: dict[str, int] = field(default_factory=dict)

    def __call__(self, text: str) -> int:
        return self.numbers.setdefault(text, len(self.numbers))

    @property
    def texts(self) -> list[str]:
        return list(self.numbers)


@dataclass(frozen=True)
class _Part:
    """Rows `first` to `end` of an array, or of that array in another order, read a slice at a time; mapped pages are let go."""

    rows: NDArray[Any]
    first: int
    end: int
    order: Ints | None

    def __len__(self) -> int:
        return self.end - self.first

    def __getitem__(self, steps: slice) -> NDArray[Any]:
        places = slice(*(self.first + place for place in steps.indices(len(self))[:2]))
        found = np.array(self.rows[places if self.order is None else self.order[places]])
        release(self.rows)
        return found


class Steps:
    """The rows of a table as steps of series, gathered once in `folder`, or in memory when it is None.

    Rows that are not in order take 8 bytes of memory each, to be sorted some more.
    """

    def __init__(
        self, frames: Frames, what: Recognised, y: ArrayLike | None, wanted: Wanted, folder: Path | None, prefix: str
    ) -> None:
        self._frames, self._what, self._y, self._wanted, self._folder, self._prefix = frames, what, y, wanted, folder, prefix
        self._ids, self._variables, self._labels = _Numbering(), _Numbering(), Labels()
        self._met: list[Skipped] = []

    def many(self) -> Many:
        """The series."""
        name = self._frames.name
        return Many(name, self._channels, self._each, self._classes, recording=self._what.layout == "recording", unit="row")

    def _channels(self) -> Sequence[str]:
        if self._what.layout != "tall":
            return self._what.channels
        self._gathered  # noqa: B018 - reading tells which there are
        return self._variables.texts

    def _classes(self) -> tuple[str, ...]:
        if self._y is not None:
            return encode(self._y, len(np.asarray(self._y)))[1]
        return () if self._labels.are_numbers else self._labels.classes

    def _each(self, skipped: list[Skipped]) -> Iterator[One]:
        x, ids, time, label = (self._gathered[name] for name in ("x", "id", "time", "label"))
        skipped += self._met
        order = None if _in_order(ids, time) else np.lexsort((time, ids))
        bounds = np.searchsorted(ids if order is None else ids[order], np.arange(len(self._ids.numbers) + 1))
        unlabelled = self._y is None and self._labels.are_numbers
        for number, name in enumerate(self._ids.texts):
            first, end = int(bounds[number]), int(bounds[number + 1])
            rows, times, labels = (_Part(column, first, end, order) for column in (x, time, label))
            if self._what.layout == "tall":
                steps, marks = _pivoted(rows[:], times[:], labels[:], len(self._variables.numbers))
                one = One(self._prefix + name, steps, -1 if unlabelled else marks, number)
            else:
                one = One(self._prefix + name, rows, -1 if unlabelled else labels, number)
            if len(one.x):
                yield one

    @cached_property
    def _gathered(self) -> dict[str, NDArray[Any]]:
        tall = self._what.layout == "tall"
        columns = {
            "x": ("<f8", (2 if tall else len(self._what.channels),)),
            "id": ("<i8", ()),
            "time": ("<f8", ()),
            "label": ("<i8", ()),
        }
        given = None if self._y is None else self._given(self._y)
        if self._folder is None:
            held = Held(columns)
            self._gather(held, given)
            return held.columns()
        with Writer(self._folder, columns) as writer:
            self._gather(writer, given)
            writer.finish(np.zeros(0, np.int64), {}, [])
        return {name: np.load(self._folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in columns}

    def _given(self, y: ArrayLike) -> Ints:
        return encode(y, len(np.asarray(y)))[0]

    def _gather(self, writer: Held | Writer, given: Ints | None) -> None:
        strange, infinite = np.zeros((2, len(self._what.channels)), np.int64)
        timeless, done = 0, 0
        for piece in self._frames.pieces(self._met):
            x = np.full((len(piece), len(self._what.channels)), np.nan)
            for place, channel in enumerate(self._what.channels):
                column = piece.cells(channel)
                if column is not None:
                    x[:, place] = column.numbers
                    strange[place] += int((~column.missing & np.isnan(column.numbers)).sum())
                    infinite[place] += column.infinite
            time, ids = self._times(piece, done), self._numbers(piece)
            label = self._labels.add(piece, self._what.label) if given is None else given[done : done + len(piece)]
            if len(label) != len(piece):
                raise UserError(f"expected one label for each row of {self._frames.name}, got {len(given or ())}")
            if self._what.layout == "tall":
                variables = piece.cells(self._what.variable or "")
                which = np.full(len(piece), -1) if variables is None else codes(variables, self._variables)
                x = np.stack([which.astype(np.float64), x[:, 0]], 1)
                x[which < 0, 1] = np.nan
            usable = np.isfinite(time) & (ids >= 0)
            timeless += int((~usable).sum())
            writer.append((), x=x[usable], id=ids[usable], time=time[usable], label=label[usable])
            done += len(piece)
            self._wanted.progress("reading rows", done, 0)
        for counts, what in ((strange, "no number"), (infinite, "infinite")):
            found = zip(self._what.channels, counts.tolist(), strict=True)
            self._met += few("column", [(name, missing_cells(count, what)) for name, count in found if count], False)
        if timeless:
            where = " or ".join(f"{column!r}" for column in (self._what.time, self._what.id) if column)
            self._met.append(Skipped(f"{timeless} row{'s' if timeless > 1 else ''}", f"nothing in {where}"))

    def _times(self, piece: Piece, done: int) -> NDArray[np.float64]:
        column = None if self._what.time is None else piece.cells(self._what.time)
        return np.arange(done, done + len(piece), dtype=np.float64) if column is None else column.numbers

    def _numbers(self, piece: Piece) -> Ints:
        """The numbers of the series that the rows belong to: by the column that says so, else a file is a series."""
        column = None if self._what.id is None else piece.cells(self._what.id)
        return np.full(len(piece), self._ids(piece.file)) if column is None else codes(column, self._ids)


def _in_order(ids: Ints, time: NDArray[np.float64]) -> bool:
    """Whether series come one after the other, each in the order of its time."""
    block = 1 << 20
    for start in range(0, len(ids), block):
        steps, ticks = np.diff(ids[start : start + block + 1]), np.diff(time[start : start + block + 1])
        if (steps < 0).any() or (ticks[steps == 0] < 0).any():
            return False
        for column in (ids, time):
            release(column)
    return True


def _pivoted(x: NDArray[np.float64], time: NDArray[np.float64], label: Ints, channels: int) -> tuple[NDArray[np.float64], Ints]:
    """Rows of (number of the channel, value) as steps (T, C), and a label for each step."""
    known = x[:, 0] >= 0
    _, first, step = np.unique(time[known], return_index=True, return_inverse=True)
    steps = np.full((len(first), channels), np.nan)
    steps[step, x[known, 0].astype(np.int64)] = x[known, 1]
    return steps, label[known][first]
