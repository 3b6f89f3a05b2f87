"""The store: decoded pictures on disk as plain .npy files, written once and mapped into memory ever after.

x.npy (N, C, H, W) uint8, y.npy (N,) int64, aspect.npy (N,) float32, names.npy and starts.npy (see `Strings`), and index.json,
which says what the rest must look like: a store whose files are short, missing or of another version counts as none.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ipse.data.cache import discard, whole
from ipse.data.images import Bytes, Floats, Images, Ints
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
    """Pictures that are ready to be gathered, and what was learned on the way there.

    size: the side of the views a model should see.  key: the same for the same content.
    span: the values that became 0 and 255, where the pictures were no bytes.
    """

    images: Images
    classes: tuple[str, ...]
    size: int
    key: str
    skipped: list[Skipped] = field(default_factory=list)
    span: tuple[float, float] | None = None


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
    """

    def __init__(self, folder: Path, shape: tuple[int, int, int]) -> None:
        self._folder = folder
        self._x = _Growing(folder / "x.npy", "|u1", shape)
        self._aspect = _Growing(folder / "aspect.npy", "<f4")
        self._names = _Growing(folder / "names.npy", "|u1")
        self._starts = _Growing(folder / "starts.npy", "<i8")
        self._starts.append(np.zeros(1, np.int64))
        self._end = 0

    def append(self, x: Bytes, aspect: Floats, names: Iterable[str]) -> None:
        """Adds pictures (n, C, H, W) with their aspects (n,) and n names."""
        self._x.append(x)
        self._aspect.append(aspect)
        text, lengths = pack(names)
        self._names.append(text)
        self._starts.append(self._end + np.cumsum(lengths))
        self._end += len(text)

    def finish(self, y: Ints, about: dict[str, Any], skipped: list[Skipped]) -> None:
        """Adds the labels (N,), completes every file and writes the index with `about` in it."""
        labels = _Growing(self._folder / "y.npy", "<i8")
        labels.append(y)
        for file in (labels, self._x, self._aspect, self._names, self._starts):
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
        for file in (self._x, self._aspect, self._names, self._starts):
            file.close()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def open_store(folder: Path, key: str) -> Opened | None:
    """Maps a store; None when there is none or it is damaged."""
    try:
        index = json.loads((folder / "index.json").read_text(encoding="ascii"))
        if index["version"] != VERSION or any((folder / name).stat().st_size != size for name, size in index["files"].items()):
            return None
        x, y, aspect = (np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ("x", "y", "aspect"))
        names = Strings.open(folder)
        if not (x.ndim == 4 and x.dtype == np.uint8 and 0 < len(x) == len(y) == len(aspect) == len(names)):
            return None
        images = Images(x, np.array(y), np.array(aspect), names, folder=folder)
        skipped = [Skipped(**item) for item in index["skipped"]]
        span = tuple(index["span"]) if index["span"] else None
        return Opened(images, tuple(index["classes"]), index["size"], key, skipped, span)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def usual_size(stores: Path, content: str) -> int | None:
    """The size of views that fits the content of a store best; None when there is none of this content yet."""
    for index in stores.glob(f"{content}-*/index.json"):
        with suppress(OSError, ValueError, KeyError):
            return int(json.loads(index.read_text(encoding="ascii"))["usual"])
    return None


def stored(folder: Path, key: str, build: Callable[[Path], None]) -> Opened:
    """Maps the store `folder`, after `build` has filled it (under another name, until it is complete) where there is none."""
    found = open_store(folder, key)
    if found is None:
        discard(folder)
        with whole(folder) as temporary:
            build(temporary)
        found = open_store(folder, key)
    if found is None:
        raise UserError(f"the store {folder} was changed while it was being read: run the command again")
    return found
