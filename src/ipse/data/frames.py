"""Tables read piece by piece: CSV and Parquet files and data frames, whatever is wrong with them."""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np

from ipse.data.cells import MISSING, Cells, cells, nothing
from ipse.data.digest import Progress, digest, file_digests
from ipse.data.store import Skipped
from ipse.data.wanted import Files, NothingLeftError
from ipse.errors import UserError, first_line

_BLOCK = 1 << 24  # bytes of text that are read at a time
_WIDE = 1 << 26  # the same of a table of thousands of columns, and bytes of numbers
_HEAD = 1 << 22  # bytes by which a text file is judged
_LISTED = 100  # ragged rows that are listed one by one
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


class FileFrames(Frames):
    """A table of files; one that cannot be read is skipped."""

    def __init__(self, name: str, files: Files) -> None:
        super().__init__(name)
        self.files = files

    @staticmethod
    def of(name: str, files: Files) -> FileFrames:
        """The table of .parquet files, or else of text files.

        Raises NothingLeftError when none can be read.
        """
        parquet = all(file.lower().endswith(".parquet") for file in files.names)
        frames: FileFrames = ParquetFrames(name, files) if parquet else CsvFrames(name, files)
        if not frames.columns:
            reason = f": {frames.notes[0].reason}" if frames.notes else ""
            raise NothingLeftError(f"cannot read {name}{reason}", frames.notes)
        return frames

    def content(self, cache: Path, progress: Progress) -> str:
        found = file_digests(*self.files, cache, progress)
        return digest(*self.files.names, *(one.decode() for one in found))

    def _merge(self, columns: Sequence[str]) -> None:
        known = set(self.columns)
        self.columns += [name for name in columns if name not in known]


class ParquetFrames(FileFrames):
    """The rows of Parquet files."""

    def __init__(self, name: str, files: Files) -> None:
        super().__init__(name, files)
        for file in files.names:
            self._merge(self._names(file))

    def _names(self, file: str) -> list[str]:
        from pyarrow import parquet

        try:
            with parquet.ParquetFile(self.files.root / file) as part:
                return [name for name in part.schema_arrow.names if not name.startswith("__index_level_")]
        except (OSError, ValueError) as error:
            self.notes.append(Skipped(file, f"the parquet file is broken: {first_line(error)}"))
            return []

    def pieces(self, skipped: list[Skipped]) -> Iterator[Piece]:
        from pyarrow import parquet

        broken = {note.name for note in self.notes}
        for name in self.files.names:
            if name in broken:
                continue
            done = 0
            try:
                with parquet.ParquetFile(self.files.root / name, buffer_size=1 << 20) as file:
                    rows = max(1, _WIDE // (8 * max(1, len(self.columns))))
                    for batch in file.iter_batches(rows, columns=self.columns):
                        yield Piece(name, done, batch)
                        done += batch.num_rows
            except (OSError, ValueError) as error:
                skipped.append(Skipped(name, f"the parquet file is broken after {done} rows: {first_line(error)}"))


@dataclass(frozen=True)
class _Dialect:
    """How a text file is written."""

    delimiter: str
    decimal: str
    encoding: str
    names: list[str]
    header: bool


class CsvFrames(FileFrames):
    """The rows of text files, separated by comma, semicolon, tab or bar; utf-8, utf-16 or latin-1; with or without a header."""

    def __init__(self, name: str, files: Files) -> None:
        super().__init__(name, files)
        self._dialects: dict[str, _Dialect] = {}
        for file in files.names:
            if (dialect := self._dialect(file)) is not None:
                self._dialects[file] = dialect
                self._merge(dialect.names)

    def _dialect(self, file: str) -> _Dialect | None:
        try:
            return _dialect(self.files.root / file, self.notes)
        except (OSError, ValueError, EOFError) as error:
            self.notes.append(Skipped(file, (getattr(error, "strerror", None) or first_line(error)).lower()))
            return None

    def pieces(self, skipped: list[Skipped]) -> Iterator[Piece]:
        for file, dialect in self._dialects.items():
            yield from _csv_pieces(self.files.root / file, file, dialect, skipped)


def _opened(path: Path) -> IO[bytes]:
    """A text file, unpacked if it is packed."""
    return gzip.open(path) if path.suffix.lower() == ".gz" else open(path, "rb")  # type: ignore[return-value]


def _dialect(path: Path, notes: list[Skipped]) -> _Dialect:
    encoding = _encoding(path)
    with _opened(path) as file:
        text = file.read(_HEAD).decode(encoding, "replace").lstrip("\ufeff")
    lines = text.splitlines(keepends=True)
    if len(text.encode(encoding, "replace")) >= _HEAD // 2 and len(lines) > 1:
        lines.pop()  # cut in the middle
    lines = [line for line in lines if line.strip()][:100]
    if not lines:
        raise ValueError("the file is empty")
    if any("\0" in line for line in lines):
        raise ValueError("the file is no text")
    delimiter = max(",;\t|", key=lambda mark: _regularity(lines, mark))
    rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
    width = Counter(map(len, rows[1:])).most_common(1)[0][0] if len(rows) > 1 else len(rows[0])
    first = [cell.strip() for cell in rows[0]]
    decimal = "," if delimiter != "," and _commas(rows[1:]) else "."
    header = not _all_numbers(first, decimal)
    if header and width == len(first) + 1:  # the names of the rows have no name, as R writes it
        first = ["", *first]
    names = unique(first, notes) if header else [str(place) for place in range(width)]
    return _Dialect(delimiter, decimal, encoding, names, header)


def _encoding(path: Path) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with _opened(path) as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        file.seek(0)
        try:
            while part := file.read(1 << 20):
                decoder.decode(part)
            decoder.decode(b"", True)
        except UnicodeDecodeError:
            return "latin-1"
    return "utf-8"


def _regularity(lines: list[str], mark: str) -> tuple[float, int]:
    """How well a delimiter explains lines: the share of them with the commonest number of fields, and that number."""
    with suppress(csv.Error):
        (width, times), *_ = Counter(len(row) for row in csv.reader(lines, delimiter=mark) if row).most_common(1)
        if width > 1:
            return round(times / len(lines), 1), width
    return 0.0, 0


def _commas(rows: list[list[str]]) -> bool:
    """Whether numbers are written with a decimal comma."""
    shaped = [cell for row in rows for cell in row if re.fullmatch(r"\s*[+-]?\d*[.,]?\d+([eE][+-]?\d+)?\s*", cell)]
    return 2 * sum("," in cell for cell in shaped) > sum("," in cell or "." in cell for cell in shaped)


def _all_numbers(first: list[str], decimal: str) -> bool:
    """Whether the first row is values: numbers, but not 0, 1, 2, ..., which name the columns."""
    filled = [cell.replace(decimal, ".") for cell in first if cell.lower() not in MISSING]
    try:
        numbers = [float(cell) for cell in filled]
    except ValueError:
        return False
    running = len(numbers) > 2 and numbers[0] in (0, 1) and all(b == a + 1 for a, b in pairwise(numbers))
    return bool(numbers) and not running


def _csv_pieces(path: Path, name: str, dialect: _Dialect, skipped: list[Skipped]) -> Iterator[Piece]:
    import pyarrow as pa
    from pyarrow import csv as arrow

    ragged = 0

    def ragged_row(row: Any) -> str:
        nonlocal ragged
        ragged += 1
        if ragged <= _LISTED:
            skipped.append(
                Skipped(f"{name}, row {row.number}", f"{row.actual_columns} fields, expected {row.expected_columns}")
            )
        return "skip"

    done = 0
    try:
        with _opened(path) as raw, _as_utf8(raw, dialect) as file:
            reader = arrow.open_csv(
                file,
                arrow.ReadOptions(
                    use_threads=False,
                    block_size=_WIDE if len(dialect.names) > 1000 else _BLOCK,
                    column_names=dialect.names,
                    skip_rows=int(dialect.header),
                ),
                arrow.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=True, invalid_row_handler=ragged_row),
                arrow.ConvertOptions(
                    column_types={column: pa.string() for column in dialect.names},
                    strings_can_be_null=True,
                    null_values=["", "NA", "NaN", "nan", "N/A", "null", "NULL"],
                ),
            )
            for batch in reader:
                if batch.num_rows:
                    yield Piece(name, done, batch, dialect.decimal)
                done += batch.num_rows
    except (OSError, ValueError, EOFError) as error:  # ArrowInvalid is a ValueError
        if "Empty CSV" not in str(error):
            skipped.append(Skipped(name, f"cannot be read after {done} rows: {first_line(error)}"))
    if ragged > _LISTED:
        skipped.append(Skipped(f"{name}, {ragged - _LISTED} more rows", "another number of fields than the header has"))


def _as_utf8(raw: IO[bytes], dialect: _Dialect) -> Any:
    """The bytes of a text file as utf-8."""
    if dialect.encoding == "utf-8":
        return raw
    return _Recoded(raw, dialect.encoding)


class _Recoded(io.RawIOBase):
    """A stream of text in another encoding, as utf-8."""

    def __init__(self, raw: IO[bytes], encoding: str) -> None:
        self._raw, self._decoder, self._rest = raw, codecs.getincrementaldecoder(encoding)("replace"), b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._rest) < size:
            part = self._raw.read(1 << 20)
            self._rest += self._decoder.decode(part, not part).encode()
            if not part:
                break
        size = len(self._rest) if size < 0 else size
        out, self._rest = self._rest[:size], self._rest[size:]
        return out


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

        rows = max(1, _WIDE // (8 * len(self.columns)))
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
