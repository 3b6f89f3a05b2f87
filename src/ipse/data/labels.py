"""Labels: whatever people write down, as class numbers."""

from __future__ import annotations

import csv
import re
from collections.abc import Container, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ipse.data.samples import Ints
from ipse.errors import UserError

NAMES = ("label", "labels", "class", "y", "target", "fine_label")
LABEL_FILES = ("labels.csv", "metadata.csv")
"""Inside of a folder of data: what they say of the samples may be asked for by the name of a column."""

_WHOLE = re.compile(r"(-?(?:0|[1-9]\d*))(?:\.0*)?")
_WINDOW = re.compile(r"#\d+(?:\.\d+)?s$")
_SAMPLES = ("path", "file", "name", "filename", "file_name", "image", "index")


def as_label(value: object) -> str | None:
    """A label as text: 3, 3.0 and "3.0" are all "3"; None, NaN, -1 and nothing at all are no label."""
    text = "" if value is None else value.decode("utf-8", "replace").strip() if isinstance(value, bytes) else str(value).strip()
    if whole := _WHOLE.fullmatch(text):
        text = whole[1]
    return None if text in ("", "-1", "nan") else text


def in_order(classes: Iterable[str]) -> tuple[str, ...]:
    """Class names sorted, as numbers when all are whole numbers."""
    names = set(classes)
    try:
        return tuple(sorted(names, key=int))
    except ValueError:
        return tuple(sorted(names))


def merged(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    """The classes of two parts of one data set: those of the first if they hold the second's."""
    return first if set(second) <= set(first) else in_order((*first, *second))


def renumbered(y: Ints, old: Sequence[str], new: Sequence[str]) -> Ints:
    """Class numbers among `old` as numbers among `new`; -1 for a class that is not there."""
    number = {name: i for i, name in enumerate(new)}
    table = np.array([*(number.get(name, -1) for name in old), -1], np.int64)  # the last place is where -1 points
    return table[y]


def encode(values: ArrayLike, count: int, classes: Sequence[str] | None = None) -> tuple[Ints, tuple[str, ...]]:
    """Class numbers (N,) and names of `count` labels: numbers among `classes` where those are given, else anything.

    Raises UserError when the labels are not one per sample, or point outside of `classes`.
    """
    y = np.asarray(values)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.shape != (count,):
        raise UserError(f"expected one label per sample, {count} in all, but the labels have the shape {y.shape}")
    if classes is not None and np.issubdtype(y.dtype, np.number):
        return _indices(y, tuple(classes)), tuple(classes)
    if y.dtype == object:
        y = np.array([as_label(value) or "" for value in y])
    distinct, place = np.unique(y, return_inverse=True)
    texts = [as_label(value) for value in distinct]
    names = in_order(text for text in texts if text is not None) if classes is None else tuple(classes)
    number = {name: i for i, name in enumerate(names)}
    strange = [text for text in texts if text is not None and text not in number]
    if strange:
        raise UserError(f"the label {strange[0]!r} is not among the classes {', '.join(names[:10])}")
    table = np.array([-1 if text is None else number[text] for text in texts], np.int64)
    return table[place], names


def _indices(y: NDArray[Any], classes: tuple[str, ...]) -> Ints:
    numbers = np.where(np.isfinite(y), y, -1).astype(np.int64)
    if numbers.size and int(numbers.max()) >= len(classes):
        raise UserError(f"the label {numbers.max()} is outside of the {len(classes)} classes")
    return np.maximum(numbers, -1)


def named_by(word: str | Path) -> tuple[Path | None, str | None]:
    """What a user's word for labels names: FILE, FILE:COLUMN, a FOLDER, or a COLUMN of the data's own table.

    Raises UserError when it looks like a file and there is none.
    """
    text = str(word)
    path, colon, column = text.rpartition(":")
    if Path(text).exists():
        return Path(text), None
    if colon and Path(path).is_file():
        return Path(path), column
    if isinstance(word, Path) or "/" in text or Path(text).suffix in (".csv", ".tsv", ".txt"):
        raise UserError(f"cannot read the labels {text}: there is no such file")
    return None, text


def read_labels(path: Path, column: str | None = None) -> dict[str, str | None]:
    """Reads a CSV of sample and label (None where it is empty), the latter from `column` or the one that is called so.

    Raises UserError when the file cannot be read, lacks one of the two columns, or contradicts itself.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            head = file.readline()
            file.seek(0)
            rows = csv.reader(file, delimiter=max(",;\t", key=head.count))
            columns = [column.strip().lower() for column in next(rows, [])]
            sample, label = (
                _column(path, columns, _SAMPLES, "samples"),
                _column(path, columns, NAMES if column is None else (column.lower(),), "labels"),
            )
            labels: dict[str, str | None] = {}
            for row in rows:
                if len(row) <= sample or not row[sample].strip():
                    continue
                name = row[sample].strip().replace("\\", "/").removeprefix("./")
                value = as_label(row[label]) if len(row) > label else None
                if labels.setdefault(name, value) != value:
                    raise UserError(f"{path} gives {name!r} two labels: {labels[name]!r} and {value!r}")
            return labels
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"cannot read the labels {path}: {reason}") from error


def _column(path: Path, columns: list[str], known: tuple[str, ...], what: str) -> int:
    for name in known:
        if name in columns:
            return columns.index(name)
    raise UserError(
        f"{path} has no column of {what}: expected one of {', '.join(known)}, got {', '.join(columns) or 'nothing'}"
    )


def called(labels: Container[str], name: str) -> str:
    """What `labels` may call a sample: by its name or, if it is a window of a recording ("a.wav#12.5s"), by the recording's."""
    return name if name in labels else _WINDOW.sub("", name)


def check_names(path: Path, labels: dict[str, str | None], names: Iterable[str]) -> None:
    """Raises UserError when `labels` name samples that are not among `names`."""
    unknown = dict.fromkeys(labels)
    example = None
    for name in names:
        example = example or name
        unknown.pop(called(labels, name), None)
    if unknown:
        some = ", ".join(map(repr, islice(unknown, 1)))
        raise UserError(f"{path} names {len(unknown)} unknown samples, such as {some} (the data's names look like {example!r})")


def look_up(labels: dict[str, str | None], names: Iterable[str], count: int, classes: Sequence[str]) -> Ints:
    """Class numbers (N,) of the samples `names`; -1 where there is none."""
    number: dict[str | None, int] = {name: i for i, name in enumerate(classes)}
    return np.fromiter((number.get(labels.get(called(labels, name)), -1) for name in names), np.int64, count)
