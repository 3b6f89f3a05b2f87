"""The cells of one column: numbers where they are numbers, texts where they are not, and what a column turns out to be."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ipse.data.samples import Ints

Numbers = NDArray[np.float64]

MISSING = ("", "?", "-", ".", "na", "n/a", "nan", "null", "none", "nil", "#n/a", "#na", "<na>", "nat", "missing")
MOST = 1000  # different values up to which a column may be categories
_CODES = 100  # different numbers up to which they may be categories of a column of texts
_FEW, _SHARE = 10, 0.05  # whole numbers are categories when this few, and at most this share of the rows, differ
_MOSTLY = 0.95  # of the cells that are there, to call a column numbers or dates

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RE2_NUMBER = rf"^(?:{_NUMBER}|[+-]?(?i:inf|infinity))$"
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([T ]\d.*)?|\d{4}/\d{1,2}/\d{1,2}.*|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}([T ]\d.*)?")


class Cells(NamedTuple):
    """Some cells of one column.

    numbers: (n,) float64, NaN where a cell is missing or no number; dates are seconds since 1970.
    text: the same cells as an Arrow array of strings, null where missing; None when every cell that is there is a number.
    infinite: how many numbers are missing because they are infinite.
    """

    numbers: Numbers
    text: Any | None = None
    dates: bool = False
    infinite: int = 0

    @property
    def missing(self) -> NDArray[np.bool_]:
        """(n,) where there is nothing."""
        return np.isnan(self.numbers) if self.text is None else np.asarray(self.text.is_null())


def nothing(count: int) -> Cells:
    """Cells of a column that is not there."""
    return Cells(np.full(count, np.nan))


def cells(array: Any, decimal: str = ".") -> Cells | None:
    """The cells of an Arrow array; None when they are lists, bytes or other things that are no values.

    Infinite numbers are missing, as are texts such as "", "?" and "NA".
    """
    import pyarrow as pa

    kind = array.type
    if kind == pa.string():
        return _parsed(array, decimal)
    if pa.types.is_dictionary(kind):
        return cells(array.dictionary_decode(), decimal)
    if pa.types.is_null(kind):
        return nothing(len(array))
    if pa.types.is_boolean(kind):
        return Cells(np.full(len(array), np.nan), array.cast(pa.string()))
    if pa.types.is_temporal(kind):
        return _temporal(array)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _plain(array)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _parsed(array.cast(pa.string()), decimal)
    return None


def _plain(array: Any) -> Cells:
    """Numbers or their texts, which all have to be numbers: else ArrowInvalid."""
    import pyarrow.compute as pc

    numbers = np.array(pc.call_function("cast", [array], _as_float64()).to_numpy(zero_copy_only=False), np.float64)
    infinite = np.isinf(numbers)
    numbers[infinite] = np.nan
    return Cells(numbers, infinite=int(infinite.sum()))


def _numbers(array: Any) -> Numbers:
    """The same as finite float64; NaN for the rest."""
    return _plain(array).numbers


@cache
def _as_float64() -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.CastOptions.unsafe(pa.float64())


def _temporal(array: Any) -> Cells | None:
    """Points in time as seconds since 1970, durations and times of day as seconds."""
    import pyarrow as pa

    kind = array.type
    if pa.types.is_date(kind):
        return _temporal(array.cast(pa.timestamp("ms")))
    if not (pa.types.is_timestamp(kind) or pa.types.is_duration(kind) or pa.types.is_time(kind)):
        return None
    ticks = array.cast(pa.int32()).cast(pa.int64()) if kind in (pa.time32("s"), pa.time32("ms")) else array.cast(pa.int64())
    return Cells(_numbers(ticks) * {"s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}[kind.unit], dates=pa.types.is_timestamp(kind))


def _parsed(text: Any, decimal: str) -> Cells:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        return _plain(text)
    except pa.ArrowInvalid:
        pass
    text = pc.utf8_trim_whitespace(text)
    text = pc.if_else(pc.is_in(pc.utf8_lower(text), pa.array(MISSING)), pa.scalar(None, pa.string()), text)
    plain = pc.replace_substring(text, decimal, ".") if decimal != "." else text
    numbers = _numbers(pc.if_else(pc.match_substring_regex(plain, _RE2_NUMBER), plain, pa.scalar(None, pa.string())))
    filled = len(text) - text.null_count
    if filled == np.isfinite(numbers).sum():
        return Cells(numbers)
    first = text.drop_null()[:100].to_pylist()
    if all(map(_DATE.fullmatch, first)):
        seconds = _seconds(text)
        if np.isfinite(seconds).sum() >= _MOSTLY * filled:
            return Cells(seconds, None if np.isfinite(seconds).sum() == filled else text, dates=True)
    return Cells(numbers, text)


def _seconds(text: Any) -> Numbers:
    """Dates as seconds since 1970."""
    import pandas as pd

    values = text.to_pylist()
    first = next(value for value in values if value is not None)
    iso = re.match(r"\d{4}-", first)
    options: dict[str, Any] = {"format": "ISO8601"} if iso else {"format": "mixed", "dayfirst": "." in first}
    when = pd.to_datetime(pd.Series(values, dtype=object), errors="coerce", utc=True, **options)
    seconds = (when - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)
    return np.asarray(seconds, np.float64)


def canonical(text: str) -> str:
    """A value as text: 3, 3.0 and "3" are all "3"; True and "true" are "True".

    >>> canonical("3.0"), canonical("1e3"), canonical("true"), canonical("red")
    ('3', '1000', 'True', 'red')
    """
    if re.fullmatch(_NUMBER, text):
        return shown(float(text))
    return {"true": "True", "false": "False"}.get(text.lower(), text)


def shown(number: float) -> str:
    """A number as text, without a point where it is whole."""
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(float(number))


def codes(column: Cells, number: Callable[[str], int]) -> Ints:
    """`number` of the text of each cell (n,); -1 where there is none."""
    if column.text is None:
        values, place = np.unique(column.numbers, return_inverse=True)  # NaNs are one value
        table = [-1 if np.isnan(value) else number(shown(float(value))) for value in values]
    else:
        coded = column.text.dictionary_encode()
        place = np.asarray(coded.indices.fill_null(len(coded.dictionary)))
        table = [*(number(canonical(value)) for value in coded.dictionary.to_pylist()), -1]
    return np.array(table, np.int64)[place]


@dataclass
class Profile:
    """What is learned of a column, piece by piece."""

    rows: int = 0
    filled: int = 0
    numeric: int = 0
    infinite: int = 0
    mean: float = 0.0
    squares: float = 0.0
    whole: bool = True
    dates: bool = False
    sequence: bool = True  # each number is the one before and 1
    rising: bool = True
    values: set[str] | None = field(default_factory=set)  # None: more than MOST
    _last: float | None = None

    def add(self, column: Cells) -> None:
        """Learns of more cells."""
        numbers = column.numbers[np.isfinite(column.numbers)]
        count = len(column.numbers)
        filled = len(numbers) if column.text is None else count - column.text.null_count
        self.rows += count
        self.filled += filled
        self.infinite += column.infinite
        self.dates |= column.dates
        if len(numbers):
            self._add_numbers(numbers)
        self.sequence &= len(numbers) == count
        if self.values is not None:
            new = self._values(column, numbers)
            self.values = None if new is None or len(self.values | new) > MOST else self.values | new

    def _add_numbers(self, numbers: Numbers) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(numbers.mean())
            squares = float(((numbers - mean) ** 2).sum())
            both = self.numeric + len(numbers)
            self.squares += squares + float(np.square(mean - self.mean)) * self.numeric * len(numbers) / both
            self.mean += (mean - self.mean) * len(numbers) / both
            self.numeric = both
        self.whole = self.whole and bool((numbers == np.rint(numbers)).all())
        if self.rising or self.sequence:
            with np.errstate(over="ignore"):
                steps = np.diff(numbers if self._last is None else np.concatenate([[self._last], numbers]))
            self.rising = self.rising and bool((steps > 0).all())
            self.sequence = self.sequence and bool((steps == 1).all())
            self._last = float(numbers[-1])

    @staticmethod
    def _values(column: Cells, numbers: Numbers) -> set[str] | None:
        """The different values as texts; None when they are numbers that are too many to be categories."""
        if column.text is not None:
            return {canonical(value) for value in column.text.unique().drop_null()[: 2 * MOST].to_pylist()}
        if len(np.unique(numbers[: 4 * _CODES])) > _CODES:
            return None
        distinct = np.unique(numbers)
        return None if len(distinct) > _CODES else {shown(float(value)) for value in distinct}

    @property
    def numbers(self) -> bool:
        """Whether the column is numbers or dates, but for a few cells."""
        return self.numeric > 0 and self.numeric >= _MOSTLY * self.filled

    @property
    def strange(self) -> int:
        """How many cells of a column of numbers are none."""
        return self.filled - self.numeric

    @property
    def categories(self) -> bool:
        """Whether the column is categories: texts, or whole numbers of which few differ."""
        if not self.numbers:
            return True
        few = self.values is not None and len(self.values) <= min(_FEW, _SHARE * self.filled)
        return self.whole and not self.dates and not self.strange and few

    @property
    def scale(self) -> float:
        """The standard deviation of the numbers; 1 where they do not differ."""
        scale = float(np.sqrt(self.squares / max(1, self.numeric)))
        return scale if np.isfinite(scale) and scale > 1e-12 * abs(self.mean) and scale > 0 else 1.0

    def useless(self, name: str) -> str | None:
        """Why the column says nothing about its rows; None when it may."""
        if not self.filled:
            return "empty"
        if self.values is not None and len(self.values) == 1:
            return "one value only"
        many = self.filled >= 10
        if self.numbers:
            if many and self.whole and not self.dates and self.filled == self.numeric:
                if self.sequence and self.numeric == self.rows:
                    return "numbers of rows"
                if self.rising and _ID.search(name.strip().lower()):
                    return "identifiers: each row has another"
            return None if np.isfinite(self.squares) else "numbers too large to be standardised"
        if many and self.values is not None and len(self.values) == self.filled:
            return "identifiers: each row has another"
        if self.values is None or (many and 2 * len(self.values) > self.filled):
            return "texts: too many differ to be categories"
        return None


_ID = re.compile(r"(^|[_\W])(id|idx|index|key|uuid|guid|rowid|row|nr|no)$|^$")
