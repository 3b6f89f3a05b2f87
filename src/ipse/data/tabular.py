"""CSV and Parquet files and data frames, opened as what they turn out to be: series or rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ipse.data.cache import scratch
from ipse.data.cutting import Many, One, open_series
from ipse.data.digest import digest
from ipse.data.frame_files import FileFrames
from ipse.data.frames import Frames, MemoryFrames
from ipse.data.labels import encode
from ipse.data.notes import missing_cells
from ipse.data.recognise import Recognised, what
from ipse.data.rows import Labels, open_rows
from ipse.data.steps import Steps
from ipse.data.store import Opened, Skipped
from ipse.data.wanted import Files, Wanted
from ipse.errors import UserError, unknown

ENDINGS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")


@dataclass(frozen=True)
class FrameFiles:
    """A table in one or more files (.csv, .tsv, packed or not, or .parquet), which are its parts."""

    name: str
    files: Files
    prefix: str = ""

    def open(self, wanted: Wanted) -> Opened:
        """Opens the table as series or rows, kept in a store.

        Raises NothingLeftError when there is nothing to learn from in it.
        """
        return _open(FileFrames.of(self.name, self.files), None, wanted, wanted.cache / "stores", self.prefix)


@dataclass(frozen=True)
class Frame:
    """A table in memory: a pandas DataFrame, with labels y (N,) or a column of them."""

    name: str
    df: Any
    y: ArrayLike | None = None
    prefix: str = ""

    def open(self, wanted: Wanted) -> Opened:
        """Opens the table as series or rows, in memory.

        Raises NothingLeftError when there is nothing to learn from in it.
        """
        frames = MemoryFrames(self.name, self.df)
        if self.y is not None and len(np.asarray(self.y)) != len(self.df):
            raise UserError(f"expected one label for each of the {len(self.df)} rows, got {len(np.asarray(self.y))}")
        return _open(frames, self.y, wanted, None, self.prefix)


def _open(frames: Frames, y: ArrayLike | None, wanted: Wanted, folder: Path | None, prefix: str) -> Opened:
    said = [] if wanted.like is None else wanted.like.skipped
    frames.notes = [note for note in frames.notes if note not in said]
    given = wanted.like.samples.form if wanted.like is not None else wanted.form
    modality = given["modality"] if given is not None else wanted.modality
    label = _label(frames, wanted)
    elsewhere = y is not None or (label is None and wanted.label is not None)
    found = what(frames.head(), modality, label, labelled=elsewhere)
    key = digest(
        frames.content(wanted.cache, wanted.progress), prefix, found, None if y is None else np.asarray(y).astype(str).tolist()
    )
    if found.modality == "table":
        return open_rows(frames, None if y is not None else found.label, y, wanted, folder, key, prefix)
    used = {*found.channels, found.label, found.time, found.id, found.variable}
    why = "no numbers: left out" if found.layout != "rows" else "no step of the series: left out"
    unused = [Skipped(f"column {name}", why) for name in frames.columns if name not in used]
    notes = frames.notes + [note for note in unused if note not in said]
    if found.layout == "rows":
        return open_series(_one_a_row(frames, found, y, prefix), wanted, folder, key, notes)
    with nullcontext() if folder is None else scratch(folder, "steps") as temporary:
        return open_series(Steps(frames, found, y, wanted, temporary, prefix).many(), wanted, folder, key, notes)


def _label(frames: Frames, wanted: Wanted) -> str | None:
    """The column of labels that the user names; a test part need not have it."""
    if wanted.label is None:
        return None
    found = next((name for name in frames.columns if name.strip().lower() == wanted.label.strip().lower()), None)
    if found is None and wanted.like is None:
        raise unknown(f"column of {frames.name}", wanted.label, frames.columns)
    return found


def _one_a_row(frames: Frames, found: Recognised, y: ArrayLike | None, prefix: str) -> Many:
    """Series of one channel, one a row."""
    labels = Labels()
    many = len(getattr(getattr(frames, "files", None), "names", ())) > 1
    given = None if y is None else encode(y, len(np.asarray(y)))

    def each(skipped: list[Skipped]) -> Iterator[One]:
        done = infinite = 0
        for piece in frames.pieces(skipped):
            columns = [piece.cells(name) for name in found.channels]
            infinite += sum(column.infinite for column in columns if column is not None)
            x = np.stack([np.full(len(piece), np.nan) if column is None else column.numbers for column in columns], 1)
            numbers = labels.add(piece, found.label) if given is None else given[0][done : done + len(piece)]
            start = f"{prefix}{piece.file}#" if many else prefix
            for row in range(len(piece)):
                yield One(f"{start}{piece.first + row}", x[row][:, None], int(numbers[row]))
            done += len(piece)
        if infinite:
            steps = f"columns {found.channels[0]} to {found.channels[-1]}"
            skipped.append(Skipped(steps, missing_cells(infinite, "infinite")))

    return Many(frames.name, lambda: ("0",), each, lambda: labels.classes if given is None else given[1])
