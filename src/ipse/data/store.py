"""The store: decoded samples on disk as plain .npy files, written once and mapped into memory ever after.

One file for each column of the kind of samples (pictures: x.npy (N, C, H, W) uint8 and aspect.npy (N,) float32), y.npy (N,) int64,
names.npy and starts.npy (see `Strings`), and index.json, which says what the rest must look like: a store whose files are short,
missing or of another version counts as none.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ipse.data.cache import discard, whole
from ipse.data.images import Images
from ipse.data.samples import Ints, Samples
from ipse.data.strings import Strings, pack
from ipse.errors import UserError

VERSION = 1


@dataclass(frozen=True)
class Skipped:
    """A sample that is left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Opened:
    """Samples that are ready to be read, and what was learned on the way there.

    key: the same for the same content.  span: the values that became 0 and 255, where pictures were no bytes.
    left_out: the columns or channels that the form has not.
    """

    samples: Samples
    classes: tuple[str, ...]
    key: str
    skipped: list[Skipped] = field(default_factory=list)
    span: tuple[float, float] | None = None
    left_out: tuple[str, ...] = ()


class _Growing:
    """A .npy file that grows by blocks of rows; its header is written last, so it cannot be read before it is complete."""

    _HEADER = 128

    def __init__(self, path: Path, dtype: str, row: tuple[int, ...] = ()) -> None:
        self._dtype, self._row, self._count = np.dtype(dtype), row, 0
        self._file = open(path, "wb", buffering=1 << 20)  # noqa: SIM115 - closed with the writer
        self._file.write(bytes(self._HEADER))

    def append(self, rows: NDArray[Any]) -> None:
        self._file.write(np.ascontiguousarray(rows, self._dtype).data)
        self._count += len(rows)

    def finish(self) -> None:
        about = {"descr": self._dtype.str, "fortran_order": False, "shape": (self._count, *self._row)}
        self._file.seek(0)
        self._file.write(
            b"\x93NUMPY\x01\x00" + struct.pack("<H", self._HEADER - 10) + repr(about).ljust(self._HEADER - 11).encode() + b"\n"
        )
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


class Writer:
    """Appends samples to a store in an empty `folder`, in memory that does not grow with their number.

    By plain writes, not through a mapping: a full disk is then an error and not a crash, and written pages are not our memory.

    columns: the arrays of the store by name, each with its type and the shape of one row.
    """

    def __init__(self, folder: Path, columns: Mapping[str, tuple[str, tuple[int, ...]]]) -> None:
        self._folder = folder
        self._columns = {name: _Growing(folder / f"{name}.npy", *of) for name, of in columns.items()}
        self._names = _Growing(folder / "names.npy", "|u1")
        self._starts = _Growing(folder / "starts.npy", "<i8")
        self._starts.append(np.zeros(1, np.int64))
        self._end = 0

    def append(self, names: Iterable[str], **rows: NDArray[Any]) -> None:
        """Adds n names, and rows to the columns: one for each sample, or as many as the kind of samples has."""
        for name, values in rows.items():
            self._columns[name].append(values)
        text, lengths = pack(names)
        self._names.append(text)
        self._starts.append(self._end + np.cumsum(lengths))
        self._end += len(text)

    def finish(self, y: Ints, about: dict[str, Any], skipped: list[Skipped]) -> None:
        """Adds the labels (N,), completes every file and writes the index with `about` in it."""
        labels = _Growing(self._folder / "y.npy", "<i8")
        labels.append(y)
        for file in (labels, *self._files()):
            file.finish()
        labels.close()
        self.close()
        sizes = {path.name: path.stat().st_size for path in sorted(self._folder.iterdir())}
        index = {**about, "version": VERSION, "files": sizes, "skipped": [asdict(item) for item in skipped]}
        with open(self._folder / "index.json", "w", encoding="ascii") as text:
            json.dump(index, text)
            text.flush()
            os.fsync(text.fileno())

    def close(self) -> None:
        """Lets go of the files."""
        for file in self._files():
            file.close()

    def _files(self) -> list[_Growing]:
        return [*self._columns.values(), self._names, self._starts]

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


@dataclass(frozen=True)
class Stored:
    """What is in a store: its columns, mapped, and the labels, names and index of its samples."""

    folder: Path
    columns: Mapping[str, NDArray[Any]]
    y: Ints
    names: Strings
    index: Mapping[str, Any]


Kind = Callable[[Stored], Samples]
"""Makes samples of what is in a store; ValueError when it does not hold them."""


def pictures(stored: Stored) -> Images:
    """The pictures of a store with the columns x (N, C, H, W) uint8 and aspect (N,) float32."""
    x, aspect = stored.columns["x"], stored.columns["aspect"]
    if not (x.ndim == 4 and x.dtype == np.uint8 and 0 < len(x) == len(stored.y) == len(aspect)):
        raise ValueError("no pictures")
    return Images(x, stored.y, np.array(aspect), stored.names, size=stored.index["size"], folder=stored.folder)


def picture_writer(folder: Path, shape: tuple[int, int, int]) -> Writer:
    """Writes a store of pictures (C, H, W)."""
    return Writer(folder, {"x": ("|u1", shape), "aspect": ("<f4", ())})


def open_store(folder: Path, key: str, kind: Kind = pictures) -> Opened | None:
    """Maps a store; None when there is none or it is damaged."""
    try:
        index = json.loads((folder / "index.json").read_text(encoding="ascii"))
        if index["version"] != VERSION or any((folder / name).stat().st_size != size for name, size in index["files"].items()):
            return None
        columns = {
            path.stem: np.load(path, mmap_mode="r", allow_pickle=False)
            for name in index["files"]
            if (path := folder / name).suffix == ".npy" and path.stem not in ("y", "names", "starts")
        }
        y, names = np.load(folder / "y.npy", allow_pickle=False), Strings.open(folder)
        if len(y) != len(names):
            return None
        samples = kind(Stored(folder, columns, y, names, index))
        skipped = [Skipped(**item) for item in index["skipped"]]
        span = tuple(index["span"]) if index.get("span") else None
        return Opened(samples, tuple(index["classes"]), key, skipped, span, tuple(index.get("left_out", ())))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def usual_size(stores: Path, content: str) -> int | None:
    """The size of views that fits the content of a store best; None when there is none of this content yet."""
    for index in stores.glob(f"{content}-*/index.json"):
        with suppress(OSError, ValueError, KeyError):
            return int(json.loads(index.read_text(encoding="ascii"))["usual"])
    return None


def stored(folder: Path, key: str, build: Callable[[Path], None], kind: Kind = pictures) -> Opened:
    """Maps the store `folder`, after `build` has filled it (under another name, until it is complete) where there is none."""
    found = open_store(folder, key, kind)
    if found is None:
        discard(folder)
        with whole(folder) as temporary:
            build(temporary)
        found = open_store(folder, key, kind)
    if found is None:
        raise UserError(f"the store {folder} was changed while it was being read: run the command again")
    return found
