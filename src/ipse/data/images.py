"""Pictures as one array of bytes, and the one gather that makes a batch of them."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ipse.data.strings import Strings

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

_KEPT = 1 << 28  # bytes of a mapped file that may stay in memory
_AROUND = 1 << 21  # bytes that the kernel may map around every place that is touched: a large folio of its cache


class Images:
    """Pictures of one size with their labels, held in memory or mapped from a file.

    x: (N, C, H, W) uint8; of a subset it is a copy, so prefer `gather` there.
    y: (N,) int64, -1 where there is no label.
    aspect: (N,) float32, width / height of the original pictures; where it is not W / H, the picture was squashed to fit.
    names: N strings, the paths of the samples inside the data or their numbers.
    """

    def __init__(
        self,
        x: Bytes,
        y: Ints | None = None,
        aspect: Floats | None = None,
        names: Strings | None = None,
        *,
        folder: Path | None = None,
    ) -> None:
        n, self.channels, self.height, self.width = x.shape
        self.y = np.full(n, -1, np.int64) if y is None else y
        self.aspect = np.full(n, self.width / self.height, np.float32) if aspect is None else aspect
        self.names = Strings.of(map(str, range(n))) if names is None else names
        self._rows: Ints | None = None
        self._folder = folder
        self._touched = 0
        self._attach(x)

    def _attach(self, x: Bytes) -> None:
        self._map = getattr(x, "_mmap", None)
        self._all: Bytes = np.asarray(x)

    def __len__(self) -> int:
        return len(self.y)

    @property
    def x(self) -> Bytes:
        return self._all if self._rows is None else self._all[self._rows]

    @property
    def labelled(self) -> bool:
        """Whether any sample has a label."""
        return bool((self.y >= 0).any())

    def gather(self, index: Tensor | ArrayLike) -> Tensor:
        """The pictures at `index` (B,) as uint8 (B, C, H, W); IndexError where there are none."""
        rows = _rows(index)
        if self._rows is not None:
            rows = self._rows[rows]
        x = self._all
        batch = np.take(x, rows, axis=0) if x.flags.c_contiguous else np.ascontiguousarray(x[rows])
        self._release(len(rows))
        return torch.from_numpy(batch)

    def subset(self, index: Tensor | ArrayLike) -> Images:
        """The samples at `index` (B,), in this order, without copying a picture."""
        rows = _rows(index)
        part = self.relabelled(self.y[rows])
        part.aspect, part.names = self.aspect[rows], self.names.take(rows)
        part._rows = np.arange(len(self))[rows] if self._rows is None else self._rows[rows]
        return part

    def relabelled(self, y: Ints) -> Images:
        """The same samples with the labels `y` (N,)."""
        copy = object.__new__(Images)
        copy.__dict__.update(self.__dict__, y=y)
        return copy

    def _release(self, samples: int) -> None:
        """Lets go of mapped pages now and then."""
        if self._map is None or self._all.nbytes <= _KEPT:
            return
        self._touched += samples * (self._all[0].nbytes + _AROUND)
        if self._touched > _KEPT:
            release(self._map)
            self._touched = 0

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: pictures of a store on disk are mapped again at the other end, not sent."""
        return {**self.__dict__, "_map": None, "_all": self._all if self._folder is None else None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._folder is not None:
            self._attach(np.load(self._folder / "x.npy", mmap_mode="r", allow_pickle=False))


def release(mapped: mmap.mmap | None) -> None:
    """Lets go of the pages of a mapped file: they stay in the system's cache but no longer count as this process's memory."""
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def _rows(index: Tensor | ArrayLike) -> Ints:
    rows = np.asarray(index.cpu() if isinstance(index, Tensor) else index)
    return np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64, copy=False)
