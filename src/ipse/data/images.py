"""Pictures as one array of bytes, and the one gather that makes a batch of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ipse.data import form
from ipse.data.form import Form
from ipse.data.mapped import Mapped
from ipse.data.samples import Ints, Raw, Samples, as_rows
from ipse.data.strings import Strings

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


class Images(Samples):
    """Pictures of one size with their labels, held in memory or mapped from a file.

    x: (N, C, H, W) uint8; of a subset it is a copy, so prefer `gather` there.
    size: the side of the square views that a model should see.
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
        size: int | None = None,
        folder: Path | None = None,
    ) -> None:
        n, self.channels, self.height, self.width = x.shape
        self.y = np.full(n, -1, np.int64) if y is None else y
        self._aspect: Floats = np.full(n, self.width / self.height, np.float32) if aspect is None else aspect
        self.names = Strings.of(map(str, range(n))) if names is None else names
        self.size = size or view_size(max(self.height, self.width))
        self._all = Mapped(x, folder)

    @property
    def form(self) -> Form:  # type: ignore[override]
        return form.image(self.channels, self.size)

    @property
    def x(self) -> Bytes:
        return self._all.array if self._rows is None else self._all.array[self._rows]

    def gather(self, index: Tensor | ArrayLike) -> Tensor:
        """The pictures at `index` (B,) as uint8 (B, C, H, W); IndexError where there are none."""
        rows = as_rows(index)
        return self._gather(rows if self._rows is None else self._rows[rows])

    def _gather(self, rows: Ints) -> Tensor:
        x = self._all.array
        batch = np.take(x, rows, axis=0) if x.flags.c_contiguous else np.ascontiguousarray(x[rows])
        self._all.touched(len(rows), batch.nbytes)
        return torch.from_numpy(batch)

    def _read(self, rows: Ints) -> Raw:
        return {"x": self._gather(rows), "aspect": torch.from_numpy(np.asarray(self._aspect[rows]))}

    @property
    def aspect(self) -> Floats:
        return self._aspect if self._rows is None else self._aspect[self._rows]


def view_size(side: int) -> int:
    """The side of the views for pictures of this side: theirs, as a multiple of 4 from 8 to 64."""
    return min(64, max(8, -(-side // 4) * 4))


def store_side(size: int) -> int:
    """The side up to which stored pictures help views of `size`: room to crop, as a multiple of 8."""
    room = -(-3 * size // 2) if size <= 128 else -(-8 * size // 7)
    return -(-room // 8) * 8
