"""Recordings, decoded once into a store: folders of audio files, and arrays of waves."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ipse.data.decode_audio import SHORTEST, Decoded, Shorts, as_shorts, decode, is_silent
from ipse.data.digest import digest
from ipse.data.form import RATE
from ipse.data.given import Given, Rows
from ipse.data.parallel import parallel
from ipse.data.records import FolderRecords, Labels, Record, decoded
from ipse.data.samples import Ints
from ipse.data.store import Opened, Skipped, stored
from ipse.data.strings import Strings
from ipse.data.wanted import NothingLeftError, Wanted
from ipse.data.waves import Waves, wave_writer, waves
from ipse.errors import UserError

_HELD = 1 << 21  # bytes of one decoded recording in memory; what is more waits on disk


class Recordings(FolderRecords):
    """The audio files of a folder."""

    kind = "recordings"

    def open(self, wanted: Wanted) -> Opened:
        """Maps the store of these recordings, which is built first where there is none; the same for windows of every length.

        Raises NothingLeftError when no recording can be used.
        """
        window, content = _window(wanted), self.content(wanted)
        folder = wanted.cache / "stores" / f"{content}-audio"
        return stored(folder, content, lambda folder: self._build(folder, wanted), partial(waves, window=window))

    def _build(self, folder: Path, wanted: Wanted) -> None:
        skipped: list[Skipped] = []
        labels, end = Labels(), 0
        with wave_writer(folder) as writer:
            found = parallel(partial(_decoded, folder=folder), self.records(skipped))
            for done, (record, sound, content) in enumerate(found, 1):
                if isinstance(sound, Skipped):
                    skipped.append(sound)
                else:
                    for piece in _pieces(content):
                        writer.append([], x=piece)
                    writer.append([record.name], start=np.array([end]), length=np.array([sound.length]))
                    labels.add([record.label])
                    end += sound.length
                    if sound.remark:
                        skipped.append(Skipped(record.name, sound.remark))
                content.close()
                wanted.progress("decoding", done, self.count)
            y, classes = labels.encoded(self.classes)
            if not len(y):
                raise self.nothing(skipped)
            writer.finish(y, {"classes": classes}, skipped)


class _Sound(NamedTuple):
    record: Record
    decoded: Decoded | Skipped
    content: IO[bytes]


def _decoded(record: Record, folder: Path) -> _Sound:
    content = tempfile.SpooledTemporaryFile(_HELD, dir=str(folder))  # noqa: SIM115 - closed when it is in the store
    return _Sound(record, decoded(record, partial(decode, into=content)), content)


def _pieces(content: IO[bytes]) -> Iterator[Shorts]:
    content.seek(0)
    while piece := content.read(_HELD):
        yield np.frombuffer(piece, np.int16)


def _window(wanted: Wanted) -> int | None:
    """How many numbers a model is to see at once, if that is known."""
    if wanted.like is not None:
        like = wanted.like.samples
        if not isinstance(like, Waves):
            raise UserError(f"the training part is {like.form['modality']}, but the test part is audio")
        return like.window
    if wanted.form is not None:
        return int(wanted.form["samples"])
    if wanted.size is None:
        return None
    if wanted.size < SHORTEST / RATE:
        raise UserError(f"windows of {wanted.size:g} s are too short: expected at least {SHORTEST / RATE:g} s")
    return round(wanted.size * RATE)


@dataclass(frozen=True)
class WaveArrays(Given):
    """Waves x (N, T) or (N, 1, T) at 16 kHz, NaN behind the end of a short one."""

    x: Rows

    def open(self, wanted: Wanted) -> Opened:
        """Turns numbers into 16 bits in a store: int16 as they are, floats in [-1, 1], others divided by the largest.

        Waves with NaN inside, without any sound, or shorter than 20 ms are skipped.
        Raises UserError when these are no waves, NothingLeftError when not one can be used.
        """
        if self.x.dtype.kind not in "if":
            raise UserError(f"expected waves as int16 or floats in {self.name}, got an array of {self.x.dtype}")
        shape = tuple(self.x.shape)
        if len(shape) not in (2, 3) or 0 in shape or (len(shape) == 3 and shape[1] != 1):
            raise UserError(f"expected waves (N, T) or (N, 1, T) in {self.name}, got the shape {shape}")
        y, classes = self.labels(shape[0])
        window, peak = _window(wanted), wanted.like.span[1] if wanted.like and wanted.like.span else None
        content = digest(self.content(y, wanted), classes, self.prefix)
        folder = wanted.cache / "stores" / digest(content, "audio", peak)
        build = partial(self._build, y=y, classes=classes, peak=peak, wanted=wanted)
        return stored(folder, content, build, partial(waves, window=window))

    def _build(self, folder: Path, y: Ints, classes: tuple[str, ...], peak: float | None, wanted: Wanted) -> None:
        peak = peak or self._peak()
        skipped: list[Skipped] = []
        kept: list[Ints] = []
        end = 0
        with wave_writer(folder) as writer:
            for first, part in self.chunks():
                x = part.reshape(len(part), -1)
                length, reasons = _checked(x, peak)
                names = [f"{self.prefix}{first + i}" for i in range(len(x))]
                skipped += [Skipped(name, reason) for name, reason in zip(names, reasons, strict=True) if reason]
                good = np.array([reason is None for reason in reasons])
                rows, length = np.flatnonzero(good), length[good]
                for row, count in zip(rows, length, strict=True):
                    writer.append([], x=as_shorts((x[row, :count] / peak).astype(np.float32)))
                starts = end + np.cumsum(length) - length
                writer.append(Strings.of(names[row] for row in rows), start=starts, length=length)
                kept.append(first + rows)
                end += int(length.sum())
                wanted.progress("converting", first + len(part), self.x.shape[0])
            rows = np.concatenate(kept)
            if not len(rows):
                one = skipped[0]
                raise NothingLeftError(
                    f"none of the {len(skipped)} waves in {self.name} can be used; the first, {one.name}: {one.reason}", skipped
                )
            writer.finish(y[rows], {"classes": classes, "span": (-peak, peak)}, skipped)

    def _peak(self) -> float:
        """The number that becomes full scale."""
        if self.x.dtype == np.int16:
            return 32768.0
        peak = 0.0
        for _, part in self.chunks():
            finite = part[np.isfinite(part)]
            peak = max(peak, float(finite.max(initial=0)), -float(finite.min(initial=0)))
        return peak if peak > 1 else 1.0


def _checked(x: NDArray[Any], peak: float) -> tuple[Ints, list[str | None]]:
    """How long waves (n, T) are without the NaN behind them, and why those that cannot be used cannot."""
    known = ~np.isnan(x)
    length = np.where(known.any(1), x.shape[1] - known[:, ::-1].argmax(1), 0)
    return length, [_problem(wave[:count], peak) for wave, count in zip(x, length, strict=True)]


def _problem(wave: NDArray[Any], peak: float) -> str | None:
    if len(wave) < SHORTEST:
        return "shorter than 20 ms"
    low, high = float(wave.min()), float(wave.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        return "contains NaN or infinite values"
    return "silent" if is_silent(low / peak, high / peak) else None
