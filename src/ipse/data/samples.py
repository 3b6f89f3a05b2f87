"""Samples of any modality: what everything that learns from data knows of it."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from typing_extensions import Self

from ipse.data.form import Form
from ipse.data.strings import Strings

if TYPE_CHECKING:
    from ipse.data.masks import Masks

Ints = NDArray[np.int64]
Raw = dict[str, Tensor]


class Samples(ABC):
    """N samples, held in memory or mapped from a file.

    form: what they are (`ipse.data.form`).  y: (N,) int64, -1 where there is no label.  names: N strings.
    group: (N,) int64, what belongs together (the windows of one recording, the rows of one person); None where each stands alone.
    masks: of pictures, the classes of pixels; y is then 0 where there is a mask. None where labels are of whole samples.
    """

    form: Form
    y: Ints
    names: Strings
    group: Ints | None = None
    masks: Masks | None = None
    _rows: Ints | None = None

    def __len__(self) -> int:
        return len(self.y)

    @property
    def labelled(self) -> bool:
        """Whether any sample has a label."""
        return bool((self.y >= 0).any())

    @property
    def group_numbers(self) -> Ints:
        """Of each sample the number of its group (N,), from 0 on; a sample that stands alone is a group of its own."""
        return np.arange(len(self)) if self.group is None else np.unique(self.group, return_inverse=True)[1].reshape(-1)

    def spread(self, most: int) -> Ints:
        """The places of at most so many samples, evenly spread from the first to the last."""
        return np.linspace(0, len(self) - 1, min(most, len(self))).astype(np.int64)

    def read(self, index: Tensor | ArrayLike) -> Raw:
        """The samples at `index` (B,) as they are kept: named tensors (B, ...), `x` among them, and `mask` where there are masks."""
        rows = as_rows(index)
        rows = rows if self._rows is None else self._rows[rows]
        return self._read(rows) if self.masks is None else {**self._read(rows), "mask": self.masks.read(rows)}

    @abstractmethod
    def _read(self, rows: Ints) -> Raw:
        """The same by places in the whole store."""

    def subset(self, index: Tensor | ArrayLike) -> Self:
        """The samples at `index` (B,), in this order, without copying them."""
        rows = as_rows(index)
        part = self.relabelled(self.y[rows])
        part.names = self.names.take(rows)
        part.group = None if self.group is None else self.group[rows]
        part._rows = np.arange(len(self))[rows] if self._rows is None else self._rows[rows]
        return part

    def relabelled(self, y: Ints) -> Self:
        """The same samples with the labels `y` (N,)."""
        part = copy.copy(self)
        part.y = y
        return part

    def masked(self, masks: Masks) -> Self:
        """The same samples with these masks, of all that are in their store."""
        part = copy.copy(self)
        part.masks = masks
        return part


def as_rows(index: Tensor | ArrayLike) -> Ints:
    """Places (B,) as int64; of a mask, those where it is true."""
    rows: NDArray[Any] = np.asarray(index.cpu() if isinstance(index, torch.Tensor) else index)
    return np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64, copy=False)
