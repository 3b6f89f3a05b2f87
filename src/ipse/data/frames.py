"""Tables that are read piece by piece, in memory or in files."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ipse.data.cells import Cells, cells, nothing
from ipse.data.digest import Progress
from ipse.data.store import Skipped
from ipse.errors import UserError

WIDE = 1 << 26  # bytes of numbers that are read at a time
HEAD_ROWS = 1000


@dataclass(frozen=True)
class Piece:
    """Some rows of a table, of which `first` is the place of the first one in `file`; an Arrow table inside."""

    file: str
    first: int
    batch: Any
    decimal: str = "."

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    def cells(self, name: str) -> Cells | None:
        """The cells of a column, all missing where the piece has no such column; None when they are no values."""
        place = self.batch.schema.get_field_index(name)
        return nothing(len(self)) if place < 0 else cells(self.batch.column(place), self.decimal)


@dataclass
class Frames(ABC):
    """A table of one or more parts.

    name: what the user calls it.  columns: their names, each once.  notes: what is strange about it.
    """

    name: str
    columns: list[str] = field(default_factory=list)
    notes: list[Skipped] = field(default_factory=list)

    @abstractmethod
    def pieces(self, skipped: list[Skipped]) -> Iterator[Piece]:
        """All rows in order; what cannot be read is added to `skipped`."""

    @abstractmethod
    def content(self, cache: Path, progress: Progress) -> str:
        """The same text for the same content."""

    def head(self) -> Any:
        """The first rows as a pandas DataFrame: float64, datetimes, or texts; columns that are no values are left out."""
        import pandas as pd

        piece = next(iter(self.pieces([])), None)
        if piece is None:
            return pd.DataFrame()
        piece = Piece(piece.file, 0, piece.batch.slice(0, HEAD_ROWS), piece.decimal)
        columns = {name: piece.cells(name) for name in self.columns}
        return pd.DataFrame({name: _values(column) for name, column in columns.items() if column is not None})


def _values(column: Cells) -> Any:
    """Cells as they are in a data frame."""
    import pandas as pd

    if column.dates:
        return pd.to_datetime(column.numbers, unit="s")
    if column.text is None or np.isfinite(column.numbers).sum() >= 0.95 * (~column.missing).sum() > 0:
        return column.numbers
    return pd.array(column.text.to_pylist(), dtype=object)


def unique(names: Sequence[str], notes: list[Skipped]) -> list[str]:
    """Names of columns, each once and none empty: a, a, '' become a, a.1, column 3.

    >>> unique(["a", "a", ""], [])
    ['a', 'a.1', 'column 3']
    """
    found: dict[str, None] = {}
    taken = set(names)
    for place, name in enumerate(names, 1):
        new, again = name or f"column {place}", 0
        while new in found or (again and new in taken):
            again += 1
            new = f"{name}.{again}"
        if again:
            notes.append(Skipped(f"column {name}", f"another column has this name: it is called {new}"))
        found[new] = None
    return list(found)


class MemoryFrames(Frames):
    """The rows of a pandas DataFrame."""

    def __init__(self, name: str, df: Any) -> None:
        super().__init__(name)
        self._df = df
        self.columns = unique([str(column) for column in df.columns], self.notes)
        if not len(df) or not len(self.columns):
            raise UserError(f"{name} is empty: it has {len(df)} rows and {len(self.columns)} columns")

    def pieces(self, skipped: list[Skipped]) -> Iterator[Piece]:
        import pyarrow as pa

        rows = max(1, WIDE // (8 * len(self.columns)))
        for start in range(0, len(self._df), rows):
            part = self._df.iloc[start : start + rows]
            arrays = [_arrow(part.iloc[:, place]) for place in range(len(self.columns))]
            yield Piece("", start, pa.RecordBatch.from_arrays(arrays, self.columns))

    def content(self, cache: Path, progress: Progress) -> str:
        content = hashlib.blake2b(repr(self.columns).encode("utf-8", "surrogateescape"), digest_size=16)
        for piece in self.pieces([]):
            for name in self.columns:
                column = piece.cells(name)
                content.update(b"-" if column is None else column.numbers.tobytes())
                if column is not None and column.text is not None:
                    content.update(
                        "\0".join(value or "" for value in column.text.to_pylist()).encode("utf-8", "surrogateescape")
                    )
        return content.hexdigest()


def _arrow(column: Any) -> Any:
    """A column of a data frame as an Arrow array; cells of many kinds become texts."""
    import pyarrow as pa

    try:
        array = pa.Array.from_pandas(column)
        return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        missing = column.isna().to_numpy()
        return pa.array([None if gone else str(value) for gone, value in zip(missing, column, strict=True)], pa.string())
