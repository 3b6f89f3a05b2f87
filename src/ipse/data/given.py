"""Samples that are given as arrays, whatever they are."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ipse.data.digest import digest, file_digests
from ipse.data.labels import encode
from ipse.data.mapped import release
from ipse.data.npz import Packed
from ipse.data.samples import Ints
from ipse.data.wanted import Files, Wanted

_CHUNK = 1 << 25  # bytes that are worked on at a time

Rows = NDArray[Any] | Packed


@dataclass(frozen=True)
class Given:
    """Samples x (N, ...), or a list of N arrays, and labels y (N,).

    Labels are numbers among `classes` where those are given, else anything.  files: where x is read from; None when it is in memory.
    """

    name: str
    x: Rows | Sequence[NDArray[Any]]
    y: ArrayLike | None = None
    classes: tuple[str, ...] | None = None
    files: Files | None = None
    prefix: str = ""

    def labels(self, count: int) -> tuple[Ints, tuple[str, ...]]:
        """The labels (N,) of so many samples, -1 where there is none, and their classes."""
        return (np.full(count, -1, np.int64), ()) if self.y is None else encode(self.y, count, self.classes)

    def content(self, y: Ints, wanted: Wanted) -> str:
        """The same text for the same samples and labels (N,)."""
        if self.files is not None:
            return digest(*file_digests(*self.files, wanted.cache, wanted.progress))
        x = self.x
        about = _about(x) if isinstance(x, (np.ndarray, Packed)) else list(map(_about, x))
        content = hashlib.blake2b(repr(about).encode() + y.tobytes(), digest_size=16)
        for _, part in self.chunks():
            content.update(np.ascontiguousarray(part).tobytes())
        return content.hexdigest()

    def chunks(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """Samples (n, ...) piece by piece, with the place where each piece begins; of a list one at a time."""
        start = 0
        for part in self._parts():
            yield start, part
            start += len(part)
            if isinstance(self.x, np.ndarray):
                release(self.x)

    def _parts(self) -> Iterator[NDArray[Any]]:
        if not isinstance(self.x, (np.ndarray, Packed)):
            yield from (one[None] for one in self.x)
            return
        rows = max(1, _CHUNK // (math.prod(self.x.shape[1:]) * self.x.dtype.itemsize))
        if isinstance(self.x, Packed):
            yield from self.x.chunks(rows)
        else:
            yield from (np.asarray(self.x[start : start + rows]) for start in range(0, len(self.x), rows))


def _about(x: Rows) -> tuple[tuple[int, ...], str]:
    return x.shape, x.dtype.str
