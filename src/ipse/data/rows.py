"""Tables: one sample a row, numbers standardised and categories numbered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ipse.data import form as forms
from ipse.data.cells import Cells, Profile, codes
from ipse.data.digest import digest
from ipse.data.form import Form
from ipse.data.frames import Frames, Piece
from ipse.data.keeping import Appends, Built, Columns, keep
from ipse.data.labels import as_label, encode, in_order, renumbered
from ipse.data.mapped import Mapped
from ipse.data.notes import few, listed, missing_cells
from ipse.data.samples import Ints, Raw, Samples
from ipse.data.store import Opened, Skipped, Stored
from ipse.data.strings import Strings
from ipse.data.wanted import NothingLeftError, Wanted
from ipse.errors import UserError

_CLASSES, _MEASURES = 1000, 20  # different labels up to which they are classes: of any kind, and with fractions


class Rows(Samples):
    """The rows x (N, D) float32 of a table, in memory or mapped from a store; `form` says what its columns are."""

    def __init__(
        self,
        x: NDArray[np.float32],
        form: Form,
        y: Ints | None = None,
        names: Strings | None = None,
        *,
        folder: Path | None = None,
    ) -> None:
        self.form = form
        self.y = np.full(len(x), -1, np.int64) if y is None else y
        self.names = Strings.of(map(str, range(len(x)))) if names is None else names
        self._all = Mapped(x, folder)

    def _read(self, rows: Ints) -> Raw:
        x = np.take(self._all.array, rows, axis=0)
        self._all.touched(len(rows), x.nbytes)
        return {"x": torch.from_numpy(x)}


def _rows(stored: Stored) -> Rows:
    x = stored.columns["x"]
    if not (x.ndim == 2 and x.dtype == np.float32 and 0 < len(x) == len(stored.y)):
        raise ValueError("no rows")
    return Rows(x, stored.index["form"], stored.y, stored.names, folder=stored.folder)


def open_rows(
    frames: Frames, label: str | None, y: ArrayLike | None, wanted: Wanted, folder: Path | None, key: str, prefix: str = ""
) -> Opened:
    """Opens a table as one sample a row, kept in `folder` or, when None, in memory.

    label: the column of labels, or y: the labels.  Columns that say nothing (empty, of one value, identifiers) are left out, unless
    the form that is wanted has them: then a column that is not there is all missing, and so is a category that it does not know.
    Raises NothingLeftError when no row or no column is left.
    """
    given = wanted.like.samples.form if wanted.like is not None else wanted.form
    if given is not None and given["modality"] != "table":
        raise UserError(f"{frames.name} is a table, but what it has to be like is {given['modality']}")
    table = _Table(frames, label, y, prefix, given, wanted)
    place = None if folder is None else folder / digest("rows", key, prefix, label, json.dumps(given, sort_keys=True))
    return keep(place, key, table.columns, table.build, _rows)


class _Table:
    """A table on its way to be kept."""

    def __init__(
        self, frames: Frames, label: str | None, y: ArrayLike | None, prefix: str, given: Form | None, wanted: Wanted
    ) -> None:
        self._frames, self._prefix, self._given, self._wanted = frames, prefix, given, wanted
        self._y, self._label, self._notes = y, label, list(frames.notes)
        self._form: Form | None = None
        self._left_out: list[str] = []

    @property
    def form(self) -> Form:
        if self._form is None:
            self._form = self._learned() if self._given is None else self._fitted(self._given)
        return self._form

    def columns(self) -> Columns:
        return {"x": ("<f4", (len(self.form["columns"]),))}

    def _fitted(self, given: Form) -> Form:
        wanted = [column["name"] for column in given["columns"]]
        there, known = set(self._frames.columns), {*wanted, self._label}
        missing = [name for name in wanted if name not in there]
        if len(missing) == len(wanted):
            raise UserError(
                f"{self._frames.name} has none of the columns that are needed: expected {listed(wanted)}, "
                f"got {listed(self._frames.columns)}"
            )
        self._left_out = [name for name in self._frames.columns if name not in known]
        new = [name for name in self._left_out if name not in self._wanted.left_out]
        self._notes += few("column", [(name, "not in the data: taken as missing") for name in missing])
        self._notes += few("column", [(name, "not known to the model: left out") for name in new])
        return given

    def _learned(self) -> Form:
        """What the columns are, by all their cells."""
        names = [name for name in self._frames.columns if name != self._label]
        profiles = {name: Profile() for name in names}
        out: dict[str, str] = {}
        done = 0
        for piece in self._frames.pieces([]):
            for name, profile in profiles.items():
                column = piece.cells(name)
                if column is None:
                    out[name] = "neither numbers nor texts"
                else:
                    profile.add(column)
            done += len(piece)
            self._wanted.progress("reading rows", done, 0)
        out |= {name: why for name, profile in profiles.items() if name not in out and (why := profile.useless(name))}
        self._left_out = list(out)
        kept = [_column(name, profile) for name, profile in profiles.items() if name not in out]
        strange = [(name, profiles[name]) for name in names if name not in out and not profiles[name].categories]
        self._notes += few("column", [(name, f"{why}: left out") for name, why in out.items()])
        self._notes += few("column", [(n, missing_cells(p.strange, "no number")) for n, p in strange if p.strange], False)
        self._notes += few("column", [(n, missing_cells(p.infinite, "infinite")) for n, p in strange if p.infinite], False)
        if not kept:
            why = "; ".join(f"{name}: {reason}" for name, reason in list(out.items())[:3])
            raise NothingLeftError(f"no column of {self._frames.name} is left ({why or 'it has no rows'})", self._notes)
        return forms.table(kept)

    def build(self, writer: Appends) -> Built:
        """Writes every row that has any value."""
        columns = self.form["columns"]
        tables = [_numbers_of(column["categories"]) for column in columns]
        strange = np.zeros(len(columns), np.int64)
        labels = Labels()
        skipped: list[Skipped] = []
        y: list[Ints] = []
        kept: list[Ints] = []
        many = len(getattr(getattr(self._frames, "files", None), "names", ())) > 1
        done = 0
        for piece in self._frames.pieces(skipped):
            x = np.full((len(columns), len(piece)), np.nan, np.float32)
            for place, (column, table) in enumerate(zip(columns, tables, strict=True)):
                found = piece.cells(column["name"])
                if found is not None:
                    x[place], unknown = _encoded(found, column, table)
                    strange[place] += unknown
            some = np.flatnonzero(np.isfinite(x).any(0))
            names = self._names(piece, many)
            if len(some) < len(piece):
                empty = np.setdiff1d(np.arange(len(piece)), some)
                skipped += [Skipped(names[row], "a row without any value") for row in empty]
            writer.append([names[row] for row in some], x=np.ascontiguousarray(x[:, some].T))
            y.append(labels.add(piece, self._label)[some])
            kept.append(done + some)
            done += len(piece)
            self._wanted.progress("writing rows", done, 0)
        if not sum(map(len, kept)):
            raise NothingLeftError(f"no row of {self._frames.name} is left", self._notes + skipped)
        if self._given is not None:
            lost = [(c["name"], int(n)) for c, n in zip(columns, strange, strict=True) if n]
            skipped += few("column", [(name, missing_cells(n, "unknown")) for name, n in lost], False)
        labelled, classes = self._labels(labels, np.concatenate(y), np.concatenate(kept), done, skipped)
        return Built(labelled, classes, self.form, self._notes + skipped, self._left_out)

    def _names(self, piece: Piece, many: bool) -> list[str]:
        start = f"{self._prefix}{piece.file}#" if many else self._prefix
        return [f"{start}{piece.first + row}" for row in range(len(piece))]

    def _labels(self, labels: Labels, y: Ints, kept: Ints, rows: int, skipped: list[Skipped]) -> tuple[Ints, tuple[str, ...]]:
        if self._y is not None:
            given, classes = encode(self._y, rows, None)
            return given[kept], classes
        if labels.are_numbers:
            skipped.append(Skipped(f"column {self._label}", "too many different values to be classes: left out"))
            return np.full(len(y), -1, np.int64), ()
        return labels.finish(y)


class Labels:
    """The values of a column of labels as class numbers, in the order in which they are met."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._whole = True

    def add(self, piece: Piece, name: str | None) -> Ints:
        """The numbers (n,) of some labels; -1 where there is none."""
        column = None if name is None else piece.cells(name)
        if column is None:
            return np.full(len(piece), -1, np.int64)
        numbers = column.numbers[np.isfinite(column.numbers)]
        self._whole &= column.text is not None or bool((numbers == np.rint(numbers)).all())
        return codes(column, self._number)

    def _number(self, text: str) -> int:
        label = as_label(text)
        return -1 if label is None else self._numbers.setdefault(label, len(self._numbers))

    @property
    def are_numbers(self) -> bool:
        """Whether the labels are measures rather than classes."""
        return len(self._numbers) > (_CLASSES if self._whole else _MEASURES)

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels that were met."""
        return tuple(self._numbers)

    def finish(self, y: Ints) -> tuple[Ints, tuple[str, ...]]:
        """The numbers y among the sorted classes, and the classes."""
        order = in_order(self.classes)
        return renumbered(y, self.classes, order), order


def _column(name: str, profile: Profile) -> dict[str, Any]:
    if profile.categories:
        values = in_order(profile.values or ())
        return {"name": name, "categories": list(values), "mean": 0.0, "scale": 1.0}
    return {"name": name, "categories": None, "mean": profile.mean, "scale": profile.scale}


def _numbers_of(categories: Sequence[str] | None) -> dict[str, int] | None:
    return None if categories is None else {value: number for number, value in enumerate(categories)}


def _encoded(column: Cells, about: Form, table: dict[str, int] | None) -> tuple[NDArray[np.floating[Any]], int]:
    """Cells as a model sees them, and how many it does not know."""
    present = int((~column.missing).sum())
    if table is not None:
        numbers = codes(column, lambda text: table.get(text, -1)).astype(np.float32)
        numbers[numbers < 0] = np.nan
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            numbers = ((column.numbers - about["mean"]) / about["scale"]).astype(np.float32)
        numbers[~np.isfinite(numbers)] = np.nan
    return numbers, present - int(np.isfinite(numbers).sum())
