"""Series: many numbers over time, cut into windows as they are read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ipse.data import form as forms
from ipse.data.digest import digest, file_digests
from ipse.data.form import Form
from ipse.data.images import release
from ipse.data.keeping import Appends, Built, keep, mapped_in
from ipse.data.labels import encode, in_order, renumbered
from ipse.data.npz import Packed
from ipse.data.samples import Ints, Raw, Samples
from ipse.data.store import Opened, Skipped, Stored
from ipse.data.strings import Strings
from ipse.data.wanted import Files, NothingLeftError, Wanted
from ipse.errors import UserError

Floats = NDArray[np.float32]

_KEPT = 1 << 28  # bytes of a mapped file that may stay in memory
_TOGETHER = 1 << 14  # steps that are worked on at a time
_LARGE = 1 << 28  # bytes of an array from which on its series are kept in a store
_LONGEST, _RECORDING = 512, 128  # steps of a window: at most, and of one long recording


class Series(Samples):
    """Windows of series, in memory or mapped from a store.

    x: (steps, C) float32, all series one after the other, standardised; NaN where nothing is known.
    first, steps: (N,) int64, where each window begins and how many steps it has; the rest up to the form's length is NaN.
    """

    def __init__(
        self,
        x: Floats,
        first: Ints,
        steps: Ints,
        form: Form,
        y: Ints | None = None,
        names: Strings | None = None,
        group: Ints | None = None,
        *,
        folder: Path | None = None,
    ) -> None:
        self.form = form
        self.y = np.full(len(first), -1, np.int64) if y is None else y
        self.names = Strings.of(map(str, range(len(first)))) if names is None else names
        self.group = group
        self._first, self._steps, self._folder = np.asarray(first), np.asarray(steps), folder
        self._touched = 0
        self._attach(x)

    def _attach(self, x: Floats) -> None:
        self._map = getattr(x, "_mmap", None)
        self._all = np.asarray(x)

    def _read(self, rows: Ints) -> Raw:
        length = self.form["length"]
        offset = np.arange(length)
        steps = self._steps[rows]
        place = self._first[rows][:, None] + np.minimum(offset, np.maximum(steps[:, None] - 1, 0))
        x = np.take(self._all, place, axis=0)  # (B, T, C)
        x[offset >= steps[:, None]] = np.nan
        self._touched += x.nbytes + (len(rows) << 16)
        if self._touched > _KEPT:
            release(self._map)
            self._touched = 0
        return {"x": torch.from_numpy(np.ascontiguousarray(x.transpose(0, 2, 1)))}

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: series of a store on disk are mapped again at the other end, not sent."""
        return {**self.__dict__, "_map": None, "_all": self._all if self._folder is None else None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._folder is not None:
            self._attach(np.load(self._folder / "x.npy", mmap_mode="r", allow_pickle=False))


def _series(stored: Stored) -> Series:
    x, first, steps, group = (stored.columns[name] for name in ("x", "first", "steps", "group"))
    if not (x.ndim == 2 and x.dtype == np.float32 and 0 < len(first) == len(steps) == len(group) == len(stored.y)):
        raise ValueError("no series")
    first, steps, group = np.array(first), np.array(steps), np.array(group)
    alone = len(np.unique(group)) == len(group)
    folder = mapped_in(x, stored.folder)
    return Series(x, first, steps, stored.index["form"], stored.y, stored.names, None if alone else group, folder=folder)


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
    return keep(place, key, cut.columns, cut.build, _series)


class _Cut:
    """Series on their way to be kept as windows."""

    def __init__(self, many: Many, wanted: Wanted, given: Form | None, notes: list[Skipped]) -> None:
        self._many, self._wanted, self._given, self._notes = many, wanted, given, notes

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
        self._notes += [Skipped(f"channel {channels[int(place)]}", "empty: left out") for place in np.flatnonzero(numbers == 0)]
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
                    f"{self._many.name} has none of the channels that are needed: expected {', '.join(known[:10])}, "
                    f"got {', '.join(names[:10])}"
                )
            return given, np.arange(len(names))
        self._notes += [Skipped(f"channel {n}", "not in the data: taken as missing") for n in known if n not in names][:10]
        self._notes += [Skipped(f"channel {n}", "not known to the model: left out") for n in names if n not in known][:10]
        return given, np.array([names.index(name) if name in names else -1 for name in known])

    def build(self, writer: Appends) -> Built:
        """Writes all series, and the windows that have two numbers or more."""
        skipped: list[Skipped] = []
        y: list[int] = []
        total = done = 0
        for batch in _batches(self._many.each(skipped)):
            known = self._write(writer, batch)
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
        classes = self._many.classes()
        order = in_order(classes)
        return Built(renumbered(np.array(y, np.int64), classes, order), order, self._plan[0], self._notes + skipped)

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

    def _write(self, writer: Appends, batch: Sequence[One]) -> NDArray[np.uint8]:
        """Writes some series; how many numbers each of their steps (T,) has: 0, 1, or 2 for more."""
        form, picked = self._plan
        known = [np.zeros(0, np.uint8)]
        for block in _blocks(batch):
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
    """The numbers (T, C) of some series, or of a long one in pieces, as float64; NaN for those that are not finite."""
    parts = [one.x for one in batch]
    if len(parts) > 1:
        yield _finite(np.concatenate([part[: len(part)] for part in parts]))
        return
    for start in range(0, len(parts[0]), _TOGETHER):
        yield _finite(parts[0][start : start + _TOGETHER])


def _finite(x: NDArray[Any]) -> NDArray[np.float64]:
    x = np.array(x, np.float64)
    x[~np.isfinite(x)] = np.nan
    return x


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


@dataclass(frozen=True)
class SeriesArrays:
    """Series x (N, C, T) or (N, T), or a list of (C, T_i) or (T_i,), with labels y (N,) and what belongs together, groups (N,).

    Labels are numbers among `classes` where those are given, else anything.
    """

    name: str
    x: NDArray[Any] | Packed | Sequence[ArrayLike]
    y: ArrayLike | None = None
    classes: tuple[str, ...] | None = None
    files: Files | None = None
    prefix: str = ""
    groups: ArrayLike | None = None
    channels: tuple[str, ...] = ()

    def open(self, wanted: Wanted) -> Opened:
        """Cuts the series into windows, in memory or (when they are many in a file) in a store.

        Raises UserError when these are no series, NothingLeftError when none is left.
        """
        count = self.x.shape[0] if isinstance(self.x, (np.ndarray, Packed)) else len(self.x)
        width = self._width(count)
        y, classes = (
            (np.full(count, -1, np.int64), ())
            if self.y is None
            else encode(self.y, count, self.classes and tuple(map(str, self.classes)))
        )
        groups = None if self.groups is None else np.unique(np.asarray(self.groups), return_inverse=True)[1]

        def each(skipped: list[Skipped]) -> Iterator[One]:
            for place, x in enumerate(self._arrays()):
                one = np.asarray(x)
                if one.ndim not in (1, 2) or one.dtype.kind not in "biuf" or (one.ndim == 2 and one.shape[0] != width):
                    skipped.append(Skipped(f"{self.prefix}{place}", f"{_shape(one)}, expected {width} channel(s) of numbers"))
                elif one.size:
                    group = None if groups is None else int(groups[place])
                    yield One(f"{self.prefix}{place}", np.atleast_2d(one).T, int(y[place]), group)
                else:
                    skipped.append(Skipped(f"{self.prefix}{place}", "a series of no steps"))

        names = self.channels or tuple(map(str, range(width)))
        key = digest(self._content(y, wanted), classes, names)
        folder = wanted.cache / "stores" if self.files is not None and self._bytes() > _LARGE else None
        return open_series(Many(self.name, lambda: names, each, lambda: classes), wanted, folder, digest(key, self.prefix))

    def _width(self, count: int) -> int:
        """How many channels the series have: as most of them, where they differ."""
        if not count:
            raise UserError(f"{self.name} is empty: it holds no series")
        if isinstance(self.x, (np.ndarray, Packed)):
            shape = tuple(self.x.shape)
            if self.x.dtype.kind not in "biuf" or len(shape) not in (2, 3) or 0 in shape:
                raise UserError(
                    f"expected series (N, T) or (N, C, T) of numbers in {self.name}, got {self.x.dtype} of the shape {shape}"
                )
            return 1 if len(shape) == 2 else int(shape[1])
        widths = [1 if np.ndim(one) == 1 else np.shape(one)[0] for one in self.x if np.ndim(one) in (1, 2)]
        if not widths:
            raise UserError(f"expected a list of series (T,) or (C, T) in {self.name}")
        return max(set(widths), key=widths.count)

    def _arrays(self) -> Iterator[ArrayLike]:
        if not isinstance(self.x, Packed):
            yield from self.x
            return
        for part in self.x.chunks(max(1, (1 << 25) // max(1, int(np.prod(self.x.shape[1:])) * self.x.dtype.itemsize))):
            yield from part

    def _bytes(self) -> int:
        if isinstance(self.x, (np.ndarray, Packed)):
            return int(np.prod(self.x.shape)) * self.x.dtype.itemsize
        return sum(np.asarray(one).nbytes for one in self.x)

    def _content(self, y: Ints, wanted: Wanted) -> str:
        if self.files is not None:
            return digest(*file_digests(*self.files, wanted.cache, wanted.progress), y.tobytes().hex())
        content = hashlib.blake2b(y.tobytes(), digest_size=16)
        for x in self._arrays():
            one = np.ascontiguousarray(x)
            content.update(repr((one.shape, one.dtype.str)).encode() + one.tobytes())
        return content.hexdigest()


def _shape(one: NDArray[Any]) -> str:
    if one.dtype.kind not in "biuf":
        return f"an array of {one.dtype}"
    return f"{one.shape[0]} channels" if one.ndim == 2 else f"the shape {one.shape}"
