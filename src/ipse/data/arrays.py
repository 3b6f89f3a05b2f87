"""Arrays of pictures: in memory, mapped from a file, or packed in one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from ipse.data.digest import digest
from ipse.data.given import Given, Rows
from ipse.data.images import Bytes, Images, store_side, view_size
from ipse.data.npz import Packed
from ipse.data.samples import Ints
from ipse.data.store import Opened, Skipped, picture_writer, stored
from ipse.data.strings import Strings
from ipse.data.wanted import NothingLeftError, Wanted, pictures_of
from ipse.errors import UserError

_LARGE = 1 << 28  # bytes that are converted in memory

Span = tuple[float, float]
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Arrays(Given):
    """Pictures x (N, H, W), (N, H, W, C), (N, C, H, W) or (N, D)."""

    x: Rows

    def open(self, wanted: Wanted) -> Opened:
        """Uses bytes where they are; turns other numbers into bytes, in memory or (when they are many) in a store.

        Floats in [0, 1] are multiplied by 255; of other numbers the smallest becomes 0 and the largest 255.
        Raises UserError when these are no pictures, NothingLeftError when all have NaN.
        """
        native, count = self._shape(), self.x.shape[0]
        size, target, span = self._plan(native, wanted)
        y, classes = self.labels(count)
        content = digest(self.content(y, wanted), classes)
        aspect = np.full(count, native[2] / native[1], np.float32)

        if self.x.dtype == np.uint8 and native == target and not isinstance(self.x, Packed):
            return Opened(Images(as_pictures(self.x), y, aspect, self._names(np.arange(count)), size=size), classes, content)

        if count * math.prod(target) > _LARGE:

            def build(folder: Path) -> None:
                kept, skipped, seen = self._scan(span)
                with picture_writer(folder, target) as writer:
                    for start, part in self._converted(kept, seen, target, wanted):
                        rows = kept[start : start + len(part)]
                        writer.append(self._names(rows), x=part, aspect=aspect[rows])
                    writer.finish(y[kept], {"classes": classes, "size": size, "usual": size, "span": seen}, skipped)

            return stored(wanted.cache / "stores" / digest(content, size, target, span), content, build)

        kept, skipped, span = self._scan(span)
        x = np.empty((len(kept), *target), np.uint8)
        for start, part in self._converted(kept, span, target, wanted):
            x[start : start + len(part)] = part
        return Opened(Images(x, y[kept], aspect[kept], self._names(kept), size=size), classes, content, skipped, span)

    def _shape(self) -> Shape:
        """The shape (C, H, W) of one picture."""
        shape = tuple(self.x.shape)
        if self.x.dtype.kind not in "biuf":
            raise UserError(f"expected numbers in {self.name}, got an array of {self.x.dtype}")
        if len(shape) not in (2, 3, 4) or 0 in shape:
            raise UserError(
                f"expected pictures (N, H, W), (N, H, W, C), (N, C, H, W) or (N, D) in {self.name}, got the shape {shape}"
            )
        _, c, h, w = as_pictures(np.empty((1, *shape[1:]), np.uint8)).shape
        return c, h, w

    def _plan(self, native: Shape, wanted: Wanted) -> tuple[int, Shape, Span | None]:
        """The size of the views, the shape (C, H, W) of a stored picture, and the values that become 0 and 255, if known."""
        if wanted.like is None:
            size = wanted.side or view_size(max(native[1:]))
            most = store_side(size) if max(native[1:]) > 2 * size else max(native[1:])
            return size, (native[0], min(native[1], most), min(native[2], most)), None
        like = pictures_of(wanted.like)
        if like.channels != native[0]:
            raise UserError(f"the training pictures have {like.channels} channels, but those in {self.name} have {native[0]}")
        return like.size, (like.channels, like.height, like.width), wanted.like.span

    def _scan(self, span: Span | None) -> tuple[Ints, list[Skipped], Span | None]:
        """The places of the finite pictures, the others, and the values that become 0 and 255 (None: they are bytes)."""
        count = self.x.shape[0]
        if self.x.dtype == np.uint8:
            return np.arange(count), [], None
        good, low, high = np.ones(count, bool), math.inf, -math.inf
        for start, part in self.chunks():
            flat = part.reshape(len(part), -1)
            finite = np.isfinite(flat).all(1)
            good[start : start + len(part)] = finite
            if finite.any():
                low, high = min(low, float(flat[finite].min())), max(high, float(flat[finite].max()))
        skipped = [Skipped(name, "contains NaN or infinite values") for name in self._names(np.flatnonzero(~good))]
        if len(skipped) == count:
            raise NothingLeftError(f"all {count} pictures in {self.name} contain NaN or infinite values", skipped)
        return np.flatnonzero(good), skipped, span or ((0.0, 1.0) if low >= 0 and high <= 1 else (low, high))

    def _names(self, rows: NDArray[np.int64]) -> Strings:
        return Strings.of(f"{self.prefix}{row}" for row in rows)

    def _converted(self, kept: Ints, span: Span | None, shape: Shape, wanted: Wanted) -> Iterator[tuple[int, Bytes]]:
        """The `kept` pictures as bytes (n, C, H, W), piece by piece, with the place where each piece begins."""
        for start, part in self.chunks():
            first, last = np.searchsorted(kept, [start, start + len(part)])
            x = as_pictures(part[kept[first:last] - start])
            if span is not None:
                x = _bytes(x, *span)
            if x.shape[1:] != shape and len(x):
                x = F.interpolate(torch.tensor(x), shape[1:], mode="bilinear", antialias=True).numpy()
            if len(x):
                yield int(first), x
            wanted.progress("converting", start + len(part), self.x.shape[0])


def _bytes(x: NDArray[Any], low: float, high: float) -> Bytes:
    """Numbers as bytes: `low` as 0, `high` as 255."""
    scaled = x.astype(np.result_type(x.dtype, np.float32))
    scaled -= low
    scaled /= (high - low) or 1
    scaled *= 255
    return np.clip(np.rint(scaled, out=scaled), 0, 255, out=scaled).astype(np.uint8)


def as_pictures(x: NDArray[Any]) -> NDArray[Any]:
    """A view (N, C, H, W) of pictures in any of the known layouts.

    Channels are the first or last axis of a picture: the one that is at most 4 long, or the shorter one.
    Rows (N, D) are square pictures when D is a square number from 16 on, else pictures of one line.
    """
    if x.ndim == 2:
        side = math.isqrt(x.shape[1])
        return x.reshape(-1, 1, side, side) if side >= 4 and side * side == x.shape[1] else x[:, None, None]
    if x.ndim == 3:
        return x[:, None]
    first, middle, last = x.shape[1:]
    both = max(first, last) <= 4
    channels_last = first == middle != last if both else last < first
    return x.transpose(0, 3, 1, 2) if channels_last else x
