"""Arrays of series: (N, C, T) or (N, T), or lists of different lengths."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ipse.data.cutting import Many, One, open_series
from ipse.data.digest import digest
from ipse.data.given import Given
from ipse.data.npz import Packed
from ipse.data.store import Opened, Skipped
from ipse.data.wanted import Wanted
from ipse.errors import UserError

_LARGE = 1 << 28  # bytes of an array from which on its series are kept in a store


@dataclass(frozen=True)
class SeriesArrays(Given):
    """Series x (N, C, T) or (N, T), or a list of (C, T_i) or (T_i,), and what belongs together, groups (N,)."""

    groups: ArrayLike | None = None
    channels: tuple[str, ...] = ()

    def open(self, wanted: Wanted) -> Opened:
        """Cuts the series into windows, in memory or (when they are many in a file) in a store.

        Raises UserError when these are no series, NothingLeftError when none is left.
        """
        count = self.x.shape[0] if isinstance(self.x, (np.ndarray, Packed)) else len(self.x)
        width = self._width(count)
        y, classes = self.labels(count)
        groups = None if self.groups is None else np.unique(np.asarray(self.groups), return_inverse=True)[1]

        def each(skipped: list[Skipped]) -> Iterator[One]:
            for place, one in enumerate(one for _, part in self.chunks() for one in part):
                if one.ndim not in (1, 2) or one.dtype.kind not in "biuf" or (one.ndim == 2 and one.shape[0] != width):
                    skipped.append(Skipped(f"{self.prefix}{place}", f"{_shape(one)}, expected {width} channel(s) of numbers"))
                elif one.size:
                    group = None if groups is None else int(groups[place])
                    yield One(f"{self.prefix}{place}", np.atleast_2d(one).T, int(y[place]), group)
                else:
                    skipped.append(Skipped(f"{self.prefix}{place}", "a series of no steps"))

        names = self.channels or tuple(map(str, range(width)))
        key = digest(self.content(y, wanted), classes, names)
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
        widths = [1 if one.ndim == 1 else len(one) for one in self.x if one.ndim in (1, 2)]
        if not widths:
            raise UserError(f"expected a list of series (T,) or (C, T) in {self.name}")
        return max(set(widths), key=widths.count)

    def _bytes(self) -> int:
        x = [self.x] if isinstance(self.x, (np.ndarray, Packed)) else self.x
        return sum(math.prod(one.shape) * one.dtype.itemsize for one in x)


def _shape(one: NDArray[Any]) -> str:
    if one.dtype.kind not in "biuf":
        return f"an array of {one.dtype}"
    return f"{one.shape[0]} channels" if one.ndim == 2 else f"the shape {one.shape}"
