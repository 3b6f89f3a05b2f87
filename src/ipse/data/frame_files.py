"""CSV and Parquet files as tables, whatever is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ipse.data.dialect import Dialect, as_utf8, dialect_of, open_text
from ipse.data.digest import Progress, digest, file_digests
from ipse.data.frames import WIDE, Frames, Piece
from ipse.data.store import Skipped
from ipse.data.wanted import Files, NothingLeftError
from ipse.errors import first_line

_BLOCK = 1 << 24  # bytes of text that are read at a time; of a table of thousands of columns more, to hold some rows
_LISTED = 100  # ragged rows that are listed one by one


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
                    rows = max(1, WIDE // (8 * max(1, len(self.columns))))
                    for batch in file.iter_batches(rows, columns=self.columns):
                        yield Piece(name, done, batch)
                        done += batch.num_rows
            except (OSError, ValueError) as error:
                skipped.append(Skipped(name, f"the parquet file is broken after {done} rows: {first_line(error)}"))


class CsvFrames(FileFrames):
    """The rows of text files, separated by comma, semicolon, tab or bar; utf-8, utf-16 or latin-1; with or without a header."""

    def __init__(self, name: str, files: Files) -> None:
        super().__init__(name, files)
        self._dialects: dict[str, Dialect] = {}
        for file in files.names:
            if (dialect := self._dialect(file)) is not None:
                self._dialects[file] = dialect
                self._merge(dialect.names)

    def _dialect(self, file: str) -> Dialect | None:
        try:
            return dialect_of(self.files.root / file, self.notes)
        except (OSError, ValueError, EOFError) as error:
            self.notes.append(Skipped(file, (getattr(error, "strerror", None) or first_line(error)).lower()))
            return None

    def pieces(self, skipped: list[Skipped]) -> Iterator[Piece]:
        for file, dialect in self._dialects.items():
            yield from _csv_pieces(self.files.root / file, file, dialect, skipped)


def _csv_pieces(path: Path, name: str, dialect: Dialect, skipped: list[Skipped]) -> Iterator[Piece]:
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
        with open_text(path) as raw, as_utf8(raw, dialect) as file:
            reader = arrow.open_csv(
                file,
                arrow.ReadOptions(
                    use_threads=False,
                    block_size=WIDE if len(dialect.names) > 1000 else _BLOCK,
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
