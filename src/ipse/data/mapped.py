"""Arrays in memory or mapped from a file, of which the pages that were read do not add up."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.generic)

_KEPT = 1 << 28  # bytes of a mapped file that may stay in memory
_AROUND = 1 << 21  # bytes that the kernel may map around every place that is touched: a large folio of its cache


class Mapped(Generic[Number]):
    """The array x, in memory or mapped.

    folder: of the store whose x.npy it is mapped from: such an array is not pickled, but mapped again at the other end.
    """

    def __init__(self, x: NDArray[Number], folder: Path | None = None) -> None:
        self.array, self._x = np.asarray(x), x
        self.folder = folder if self.mapped else None
        self._touched = 0

    @property
    def mapped(self) -> bool:
        """Whether it is in a file."""
        return getattr(self._x, "_mmap", None) is not None

    def touched(self, places: int, size: int) -> None:
        """Counts what was read, `size` bytes in so many places, and lets go of it before it is too much."""
        if not self.mapped or self.array.nbytes <= _KEPT:
            return
        self._touched += size + places * _AROUND
        if self._touched > _KEPT:
            release(self._x)
            self._touched = 0

    def __reduce__(self) -> tuple[Callable[..., Mapped[Any]], tuple[Any, ...]]:
        return (Mapped, (self.array,)) if self.folder is None else (_open, (self.folder,))


def _open(folder: Path) -> Mapped[Any]:
    return Mapped(np.load(folder / "x.npy", mmap_mode="r", allow_pickle=False), folder)


def release(x: NDArray[Any]) -> None:
    """Lets go of the pages of an array that is mapped: they stay in the system's cache but no longer count as this process's memory.

    Not of one that is mapped copy-on-write, whose changes are nowhere else.
    """
    mapped = getattr(x, "_mmap", None)
    if mapped is not None and getattr(x, "mode", None) != "c" and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)
