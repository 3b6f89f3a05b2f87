"""Whether a table is series or rows, and how series are laid out in it, by its first rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ipse.data.labels import NAMES
from ipse.errors import UserError

TIMES = ("time", "timestamp", "timestamps", "datetime", "date", "ds", "t", "seconds", "sec", "ms", "step", "frame", "tick")
VARIABLES = ("variable", "channel", "feature", "sensor", "metric", "dimension", "dim")
VALUES = ("value", "values", "reading", "measurement")

_ID = re.compile(
    r"(^|[_\W])(id|uid|series|subject|recording|session|unit|device|machine|person|patient|case|trial|sequence|sample|run)([_\W]?id|)$"
)
_RUN = re.compile(r"(.*?)[_\-. ]?(\d+)")
_STEPS = ("t", "time", "step", "value", "values", "timestep", "sample", "obs")
_LONG = 16  # columns whose names run on, from which on they are the steps of a series
_SEED = 0

Layout = Literal["table", "recording", "long", "tall", "rows"]


@dataclass(frozen=True)
class Recognised:
    """What a table is.

    layout: `table`: a sample a row; `rows`: a series a row; `recording`: one series, a step a row; `long`: many such, told apart by
    `id`; `tall`: a number a row, of the channel that `variable` names.  reason: why, for people.
    """

    modality: Literal["series", "table"]
    layout: Layout
    reason: str
    channels: tuple[str, ...] = ()
    label: str | None = None
    time: str | None = None
    id: str | None = None
    variable: str | None = None


def what(head: Any, modality: str | None = None, label: str | None = None, labelled: bool = False) -> Recognised:
    """What a table is, by its first rows as a pandas DataFrame (numbers as float64, points in time as datetimes, the rest as texts).

    modality: "series" or "table" when the user says so; where that is what it is anyway, nothing else is found.  label: the
    column of labels, where the user names it; labelled: whether the labels are elsewhere, and no column holds them.
    Raises UserError when there can be no series in it.

    >>> import pandas as pd
    >>> head = pd.DataFrame({"time": [0.0, 60.0, 120.0], "heat": [20.5, 20.7, 21.0]})
    >>> what(head).reason
    "series: column 'time' runs in steps of 60"
    """
    found = _what(head, None, label, labelled)
    return found if modality in (None, found.modality) else _what(head, modality, label, labelled)


def _what(head: Any, modality: str | None, label: str | None, labelled: bool) -> Recognised:
    names = list(head.columns)
    named, label = label is not None, label or (None if labelled else find_label(names))
    if modality == "table":
        return Recognised("table", "table", "table: as said", label=label)
    rest = [name for name in names if name != label]
    numeric = [name for name in rest if _is_number(head[name])]
    measured = label is not None and not named and _is_channel(head, label)  # a channel of a recording may be called "target"
    found = (
        _rows(head, numeric, rest, label is None and not labelled, sure=modality == "series")
        or _with_time(head, names if measured else rest, sure=modality == "series")
        or (_without_time(head, numeric) if modality == "series" else None)
        or Recognised("table", "table", "table: no column is the time and no columns run on")
    )
    return found if found.label is not None or label in found.channels else replace(found, label=label)


def find_label(names: Sequence[str]) -> str | None:
    """The column of labels by its name; y beside x is a coordinate."""
    lower = [name.strip().lower() for name in names]
    for word in NAMES:
        if word in lower and not (word == "y" and "x" in lower):
            return names[lower.index(word)]
    return None


def _is_number(column: Any) -> bool:
    return bool(column.dtype.kind in "fiu")


def _is_time(column: Any) -> bool:
    return bool(column.dtype.kind == "M")


def _is_channel(head: Any, label: str) -> bool:
    """Whether a column that is called like a label is measured."""
    if not _is_number(head[label]):
        return False
    values = head[label].dropna().to_numpy()
    return bool((values != np.rint(values)).any() and len(np.unique(values)) > 20)


def _rows(head: Any, numeric: list[str], rest: list[str], unlabelled: bool, sure: bool) -> Recognised | None:
    """One series a row: the names of most columns run on, and neighbours are alike.

    Without a header, a first column of few whole numbers before others is the label, as in the files of the UCR archive.
    """
    stem, run = _running(numeric)
    if (
        len(run) < _LONG
        or 2 * len(run) < len(rest)
        or any(name.strip().lower() in TIMES[:6] for name in rest if name not in run)
    ):
        return None
    if sure or stem in _STEPS or (stem not in ("pixel", "px") and _smooth(head[run].to_numpy(np.float64))):
        first = run[0] if unlabelled and run[0] == "0" and _is_code(head[run[0]]) and not _is_code(head[run[1]]) else None
        run = run[1:] if first is not None else run
        reason = f"series: the columns {run[0]!r} to {run[-1]!r} are the {len(run)} steps of one series a row"
        return Recognised("series", "rows", reason, channels=tuple(run), label=first)
    return None


def _is_code(column: Any) -> bool:
    values = column.dropna()
    return bool((values % 1 == 0).all() and 1 < values.nunique() <= len(values) / 2)


def _running(names: list[str]) -> tuple[str, list[str]]:
    """The longest run of names that only differ in a number that counts up, and what they have in common."""
    best: tuple[str, list[str]] = ("", [])
    stem, run, last = "", list[str](), 0
    for name in names:
        match = _RUN.fullmatch(name.strip())
        if match is None:
            stem, run = "", []
            continue
        if run and match[1] == stem and int(match[2]) == last + 1:
            run.append(name)
        else:
            stem, run = match[1], [name]
        last = int(match[2])
        if len(run) > len(best[1]):
            best = (stem.strip().lower(), run)
    return best


def _smooth(x: NDArray[np.float64]) -> bool:
    """Whether neighbouring columns of x (N, T) are more alike than others."""
    x = x[:200]
    shuffled = x[:, np.random.default_rng(_SEED).permutation(x.shape[1])]
    near, far = (float(np.nanmean(np.abs(np.diff(one, axis=1))) if np.isfinite(one).any() else 0) for one in (x, shuffled))
    return near < 0.7 * far


def _with_time(head: Any, rest: list[str], sure: bool) -> Recognised | None:
    """One or many series, a step a row: one column is the time and others are numbers."""
    numeric = [name for name in rest if _is_number(head[name])]
    time = _time_column(head, rest, numeric)
    if time is None:
        return None
    others = [name for name in rest if name != time]
    by_name = {name.strip().lower(): name for name in others}
    variable = next((by_name[word] for word in VARIABLES if word in by_name and not _is_number(head[by_name[word]])), None)
    value = next((by_name[word] for word in VALUES if word in by_name and _is_number(head[by_name[word]])), None)
    tall = variable is not None and value is not None
    identity = _id_column(head, [name for name in others if not (tall and name in (variable, value))], time)
    if variable is not None and value is not None:
        reason = f"series: {value!r} of {variable!r} at {time!r}" + (f", one for each {identity!r}" if identity else "")
        return Recognised("series", "tall", reason, (value,), time=time, id=identity, variable=variable)
    channels = tuple(name for name in others if name in numeric and name != identity)
    texts = [name for name in others if name not in numeric and name != identity]
    named = time.strip().lower() in TIMES
    if not channels or (texts and not sure and (not named or len(texts) > len(channels))):
        return None
    if identity is not None:
        reason = f"series: one for each {identity!r}, in the order of {time!r}"
        return Recognised("series", "long", reason, channels, time=time, id=identity)
    if not sure and not _runs(head[time], named):
        return None
    return Recognised("series", "recording", f"series: column {time!r} {_pace(head[time])}", channels, time=time)


def _time_column(head: Any, rest: list[str], numeric: list[str]) -> str | None:
    """The time: a column of that name, else of that type, else the first one when it counts up evenly, but not as rows do."""
    usable = [name for name in rest if _is_time(head[name]) or name in numeric]
    named = [name for word in TIMES for name in usable if name.strip().lower() == word]
    typed = [name for name in usable if _is_time(head[name])]
    if named or typed:
        return (named or typed)[0]
    first = rest[0] if rest else None
    if first is None or first not in numeric or len(head) < 3:
        return None
    steps = np.diff(head[first].to_numpy(np.float64))
    even = bool(np.isfinite(steps).all() and (steps > 0).all() and np.ptp(steps) <= 0.01 * steps.mean())
    rows = float(steps[0]) == 1 and head[first].iloc[0] in (0, 1)
    return first if even and not rows else None


def _id_column(head: Any, others: list[str], time: str) -> str | None:
    """What tells series apart: a column called so, or one within which time runs although it does not run on the whole."""
    count = len(head)
    named = [name for name in others if _ID.search(name.strip().lower())]
    whole = _rising(head[time])
    for name in named + ([] if whole else [name for name in others if name not in named]):
        column = head[name]
        called = name in named
        if _is_time(column) or (not called and _is_number(column) and (column.dropna() % 1 != 0).any()):
            continue
        distinct = column.nunique()
        if distinct == 0 or 2 * distinct > count or (distinct == 1 and not called):
            continue
        times = head.groupby(name, sort=False)[time]
        if called or all(_rising(one) for _, one in times):
            return name
    return None


def _rising(time: Any) -> bool:
    values = time.dropna()
    return bool(values.is_monotonic_increasing and values.is_unique)


def _runs(time: Any, named: bool) -> bool:
    """Whether a column can be the time of the rows: nearly all differ, and in order unless it is a point in time by name."""
    values = time.dropna()
    if len(values) < max(2, 0.9 * len(time)) or values.nunique() < 0.9 * len(values):
        return False
    return (named and _is_time(time)) or bool(values.is_monotonic_increasing or values.is_monotonic_decreasing)


def _pace(time: Any) -> str:
    """How a time runs, for people."""
    seconds = time.dropna()
    unit = " s" if _is_time(time) else ""
    numbers = (seconds - seconds.min()).dt.total_seconds().to_numpy() if unit else seconds.to_numpy(np.float64)
    steps = np.diff(np.sort(numbers))
    if len(steps) and steps.mean() > 0 and np.ptp(steps) <= 0.01 * steps.mean():
        return f"runs in steps of {np.median(steps):g}{unit}"
    return "is the time"


def _without_time(head: Any, numeric: list[str]) -> Recognised:
    """What the user calls series although there is no time: each row is a step."""
    if not numeric:
        raise UserError(
            f"expected columns of numbers for --modality series, got {', '.join(map(str, head.columns[:10])) or 'none'}"
        )
    named = [name for name in head.columns if _ID.search(str(name).strip().lower()) and 2 * head[name].nunique() <= len(head)]
    if named:
        channels = tuple(name for name in numeric if name != named[0])
        return Recognised("series", "long", f"series: one for each {named[0]!r}, a step a row", channels, id=named[0])
    return Recognised("series", "recording", "series: as said, each row is a step", tuple(numeric))
