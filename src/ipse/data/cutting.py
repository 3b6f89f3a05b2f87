"""Series on their way to be samples: cut into windows, each channel standardised."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ipse.data import form as forms
from ipse.data.digest import digest
from ipse.data.form import Form
from ipse.data.keeping import Appends, Built, keep
from ipse.data.labels import in_order, renumbered
from ipse.data.notes import few, listed, missing_cells
from ipse.data.samples import Ints
from ipse.data.series import series
from ipse.data.store import Opened, Skipped
from ipse.data.wanted import NothingLeftError, Wanted
from ipse.errors import UserError

_TOGETHER = 1 << 14  # steps that are worked on at a time
_LONGEST, _RECORDING = 512, 128  # steps of a window: at most, and of one long recording


class Sliced(Protocol):
    """Numbers (T, C) that are read a slice of steps at a time."""

    def __len__(self) -> int: ...
    def __getitem__(self, steps: slice, /) -> NDArray[Any]: ...


class One(NamedTuple):
    """A series: its name, its numbers (T, C), its label or one label for each step, and what it belongs to (None: itself)."""

    name: str
    x: Sliced
    y: int | Sliced = -1
    group: int | None = None


@dataclass(frozen=True)
class Many:
    """Series that can be gone through more than once.

    each: goes through them; what cannot be read is added to the list.  channels: their names, asked for before.  recording: whether a series is long
    and uninterrupted, rather than one sample.  unit: what its steps are called in the names of windows.
    classes: of the labels, once `each` has been gone through.
    """

    name: str
    channels: Callable[[], Sequence[str]]
    each: Callable[[list[Skipped]], Iterator[One]]
    classes: Callable[[], tuple[str, ...]]
    recording: bool = False
    unit: str = "step"


def open_series(many: Many, wanted: Wanted, folder: Path | None, key: str, notes: Iterable[Skipped] = ()) -> Opened:
    """Opens series as windows, kept in `folder` or, when None, in memory.

    A window has as many steps as the longest series, or, when a few are much longer than the rest, as 95 % of them have at most;
    never more than 512; of a recording 128, or an eighth of a short one. Longer series are cut into windows that follow each other,
    the last of which ends with the series; shorter ones end with NaN. Series of one step and windows with fewer than two numbers are left out.
    Raises NothingLeftError when none is left.
    """
    given = wanted.like.samples.form if wanted.like is not None else wanted.form
    if given is not None and given["modality"] != "series":
        raise UserError(f"{many.name} is series, but what it has to be like is {given['modality']}")
    cut = _Cut(many, wanted, given, list(notes))
    place = None
    if folder is not None:
        place = folder / digest("series", key, None if given else wanted.side, json.dumps(given, sort_keys=True))
    return keep(place, key, cut.columns, cut.build, series)


class _Cut:
    """Series on their way to be kept as windows."""

    def __init__(self, many: Many, wanted: Wanted, given: Form | None, notes: list[Skipped]) -> None:
        self._many, self._wanted, self._given, self._notes = many, wanted, given, notes
        self._left_out: list[str] = []

    @cached_property
    def _plan(self) -> tuple[Form, Ints]:
        """The form, and from which channel each of its channels is read; -1 where there is none."""
        return self._learned() if self._given is None else self._fitted(self._given)

    def columns(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        form, _ = self._plan
        return {"x": ("<f4", (form["channels"],)), "first": ("<i8", ()), "steps": ("<i8", ()), "group": ("<i8", ())}

    def _learned(self) -> tuple[Form, Ints]:
        channels = self._many.channels()
        numbers, mean, squares = (np.zeros(len(channels)) for _ in range(3))
        lengths: list[int] = []
        for batch in _batches(self._many.each([])):
            for x in _blocks(batch):
                at = np.isfinite(x)
                new = at.sum(0)
                with np.errstate(all="ignore"):
                    centre = np.where(at, x, 0).sum(0) / np.maximum(new, 1)
                    both = np.maximum(numbers + new, 1)
                    squares += (np.where(at, x - centre, 0) ** 2).sum(0) + (centre - mean) ** 2 * numbers * new / both
                    mean += (centre - mean) * new / both
                numbers += new
            lengths += [len(one.x) for one in batch]
            self._wanted.progress("reading series", len(lengths), 0)
        picked = np.flatnonzero(numbers > 0)
        if not len(picked):
            self._nothing([], "no channel has a number" if lengths else "there are none")
        self._left_out = [channels[int(place)] for place in np.flatnonzero(numbers == 0)]
        self._notes += few("channel", [(name, "empty: left out") for name in self._left_out])
        scale = np.sqrt(squares / np.maximum(numbers, 1))
        scale = np.where(np.isfinite(scale) & (scale > 1e-12 * np.abs(mean)), scale, 1.0)
        length = self._wanted.side or _usual(np.array(lengths), self._many.recording)
        names = [str(channels[int(place)]) for place in picked]
        return forms.series(len(picked), length, names, mean[picked].tolist(), scale[picked].tolist()), picked

    def _fitted(self, given: Form) -> tuple[Form, Ints]:
        names, known = list(self._many.channels()), list(given["names"])
        if not set(names) & set(known):
            if len(names) != len(known):
                raise UserError(
                    f"{self._many.name} has none of the channels that are needed: expected {listed(known)}, got {listed(names)}"
                )
            return given, np.arange(len(names))
        self._left_out = [name for name in names if name not in known]
        said = self._wanted.left_out
        self._notes += few("channel", [(name, "not in the data: taken as missing") for name in known if name not in names])
        self._notes += few("channel", [(n, "not known to the model: left out") for n in self._left_out if n not in said])
        return given, np.array([names.index(name) if name in names else -1 for name in known])

    def build(self, writer: Appends) -> Built:
        """Writes all series, and the windows that have two numbers or more."""
        skipped: list[Skipped] = []
        y: list[int] = []
        total = done = 0
        infinite = np.zeros(len(self._many.channels()), np.int64)
        for batch in _batches(self._many.each(skipped)):
            known = self._write(writer, batch, infinite)
            ends = np.cumsum([len(one.x) for one in batch])
            names, windows = list[str](), list[tuple[int, int, int]]()
            for one, place in zip(batch, range(done, done + len(batch)), strict=True):
                end = int(ends[place - done])
                begin = end - len(one.x)
                for name, start, stop in self._windows(one, known[begin:end], skipped):
                    names.append(name)
                    windows.append((total + begin + start, stop - start, place if one.group is None else one.group))
                    y.append(one.y if isinstance(one.y, int) else _commonest(one.y[start:stop]))
            first, steps, group = np.array(windows, np.int64).reshape(-1, 3).T
            writer.append(names, first=first, steps=steps, group=group)
            total += len(known)
            done += len(batch)
            self._wanted.progress("writing series", done, 0)
        if not y:
            self._nothing(skipped, skipped[0].reason if skipped else "there are none")
        counts = zip(self._many.channels(), infinite.tolist(), strict=True)
        skipped += few("channel", [(name, missing_cells(count, "infinite")) for name, count in counts if count], False)
        classes = self._many.classes()
        order = in_order(classes)
        labels = renumbered(np.array(y, np.int64), classes, order)
        return Built(labels, order, self._plan[0], self._notes + skipped, self._left_out)

    def _windows(self, one: One, known: NDArray[np.uint8], skipped: list[Skipped]) -> Iterator[tuple[str, int, int]]:
        """The windows of a series, of whose steps (T,) we know so many numbers: their names, where they begin and end."""
        steps = 1 + int(np.flatnonzero(known)[-1]) if known.any() else 0  # without what is empty behind the end
        if steps < 2:
            skipped.append(Skipped(one.name, "a series of one step" if steps else "a series without numbers"))
            return
        length = self._plan[0]["length"]
        starts = _starts(steps, length)
        whole = len(starts) == 1 and not self._many.recording
        for start in starts:
            name = one.name if whole else f"{one.name}#{self._many.unit}{start}".lstrip("#")
            stop = min(start + length, steps)
            if known[start:stop].sum() < 2:
                skipped.append(Skipped(name, "fewer than two numbers"))
            else:
                yield name, start, stop

    def _write(self, writer: Appends, batch: Sequence[One], infinite: Ints) -> NDArray[np.uint8]:
        """Writes some series; how many numbers each of their steps (T,) has: 0, 1, or 2 for more. Counts those that are `infinite` (C,)."""
        form, picked = self._plan
        known = [np.zeros(0, np.uint8)]
        for block in _blocks(batch):
            infinite += np.isinf(block).sum(0)
            channels = np.concatenate([block, np.full((len(block), 1), np.nan)], 1)  # the last one is where -1 points
            with np.errstate(over="ignore", invalid="ignore"):
                x = ((channels[:, picked] - np.array(form["mean"])) / np.array(form["scale"])).astype(np.float32)
            x[~np.isfinite(x)] = np.nan
            writer.append((), x=x)
            known.append(np.minimum(np.isfinite(x).sum(1), 2).astype(np.uint8))
        return np.concatenate(known)

    def _nothing(self, skipped: list[Skipped], why: str) -> None:
        raise NothingLeftError(f"no series of {self._many.name} is left: {why}", self._notes + skipped)


def _batches(series: Iterator[One]) -> Iterator[list[One]]:
    """Short series together, long ones alone."""
    batch: list[One] = []
    steps = 0
    for one in series:
        if batch and steps + len(one.x) > _TOGETHER:
            yield batch
            batch, steps = [], 0
        batch.append(one)
        steps += len(one.x)
    if batch:
        yield batch


def _blocks(batch: Sequence[One]) -> Iterator[NDArray[np.float64]]:
    """The numbers (T, C) of some series, or of a long one in pieces, as float64."""
    parts = [one.x for one in batch]
    if len(parts) > 1:
        yield np.concatenate([np.asarray(part[: len(part)], np.float64) for part in parts])
        return
    for start in range(0, len(parts[0]), _TOGETHER):
        yield np.asarray(parts[0][start : start + _TOGETHER], np.float64)


def _usual(lengths: Ints, recording: bool) -> int:
    """The length of windows that suits series of these lengths."""
    longest = int(lengths.max())
    if recording:
        return _RECORDING if longest >= 8 * _RECORDING else max(2, longest // 8, min(longest, 8))
    most = round(float(np.quantile(lengths, 0.95)))
    return max(2, min(_LONGEST, longest if longest <= 1.5 * most else most))


def _starts(steps: int, length: int) -> list[int]:
    """Where the windows of a series begin: one after the other, the last of them at its end.

    >>> _starts(10, 4), _starts(3, 4)
    ([0, 4, 6], [0])
    """
    starts = list(range(0, max(1, steps - length + 1), length))
    return [*starts, steps - length] if starts[-1] + length < steps else starts


def _commonest(y: NDArray[Any]) -> int:
    """The label of most steps; -1 when most have none."""
    values, times = np.unique(y, return_counts=True)
    return int(values[times.argmax()])
