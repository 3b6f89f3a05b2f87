"""How text files of tables are written: what separates cells, the decimal mark, the encoding, and the names of the columns."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO

from ipse.data.cells import MISSING
from ipse.data.frames import unique
from ipse.data.store import Skipped

_HEAD = 1 << 22  # bytes by which a text file is judged


@dataclass(frozen=True)
class Dialect:
    """How a text file is written."""

    delimiter: str
    decimal: str
    encoding: str
    names: list[str]
    header: bool


def open_text(path: Path) -> IO[bytes]:
    """A text file, unpacked if it is packed."""
    return gzip.open(path) if path.suffix.lower() == ".gz" else open(path, "rb")  # type: ignore[return-value]


def dialect_of(path: Path, notes: list[Skipped]) -> Dialect:
    """How a text file is written, by its first lines; what is strange about the names of its columns is added to `notes`.

    Raises ValueError when the file is empty or no text.
    """
    encoding = _encoding(path)
    with open_text(path) as file:
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
    return Dialect(delimiter, decimal, encoding, names, header)


def _encoding(path: Path) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open_text(path) as file:
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


def as_utf8(raw: IO[bytes], dialect: Dialect) -> IO[bytes] | _Recoded:
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
