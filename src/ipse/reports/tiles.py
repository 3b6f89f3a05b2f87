"""Rows of tables as small mosaics, a tile for each column, and as texts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

TILES = 300  # drawn
MOST = 2.5  # deviations from the mean, where a number's colour is full
LOW, MIDDLE, HIGH = (33, 102, 172), (247, 247, 247), (178, 24, 43)
CATEGORIES = (
    (90, 90, 205),
    (201, 130, 80),
    (70, 185, 140),
    (190, 176, 50),
    (180, 60, 155),
    (60, 140, 200),
    (140, 155, 210),
    (189, 146, 250),
    (200, 70, 65),
    (150, 95, 108),
)
MISSING = ((205, 205, 205), (160, 160, 160))  # hatched

Floats = NDArray[np.floating]
Column = Mapping[str, Any]


def tiles(x: Floats, columns: Sequence[Column], height: int, width: int) -> NDArray[np.uint8]:
    """Mosaics (N, height, width, 3) of rows x (N, D): the columns from left to right and from the top down.

    A number is blue below the mean, white at it and red above; a category has a colour; what is missing is hatched grey. Of more
    than 300 columns, those that vary most.
    """
    shown = columns_shown(x, TILES)
    across = min(len(shown), max(1, math.ceil(math.sqrt(len(shown) * width / height))))
    down = math.ceil(len(shown) / across)
    high, wide = height // down, width // across
    top, left = (height - high * down) // 2, (width - wide * across) // 2
    sheet = np.full((len(x), height, width, 3), 255, np.uint8)
    gap = int(min(high, wide) >= 6)
    hatch = ((np.arange(high)[:, None] + np.arange(wide)) // 2 % 2).astype(bool)[..., None]
    for place, column in enumerate(shown):
        row, col = divmod(place, across)
        y, z = top + row * high, left + col * wide
        tile = np.where(
            np.isfinite(x[:, column])[:, None, None, None], _colours(x[:, column], columns[column]), _hatched(hatch)
        )
        sheet[:, y : y + high - gap, z : z + wide - gap] = tile[:, : high - gap, : wide - gap]
    return sheet


def columns_shown(x: Floats, most: int) -> NDArray[np.int64]:
    """Of more than `most` columns of x (N, D), those in which two rows most likely differ, in the order of the table.

    >>> columns_shown(np.array([[1.0, 7, 0], [2, 7, 0], [3, 7, np.nan]]), 2).tolist()
    [0, 2]
    """
    if x.shape[1] <= most:
        return np.arange(x.shape[1])
    differ = np.array([_differ(column) for column in x.T])
    return np.sort(np.argsort(-differ.round(2), kind="stable")[:most])


def readable(x: Floats, column: Column) -> list[str]:
    """The cells (N,) of a column as they were in the table, numbers to about a thousandth of how far they vary; '–' for missing.

    >>> readable(np.array([1.0, np.nan]), {"name": "age", "categories": None, "mean": 38.5, "scale": 13.5})
    ['52', '–']
    >>> readable(np.array([1.0, 0.0]), {"name": "sex", "categories": ["f", "m"], "mean": 0, "scale": 1})
    ['m', 'f']
    """
    if column["categories"] is not None:
        names = column["categories"]
        return [str(names[int(v)]) if np.isfinite(v) and 0 <= v < len(names) else "–" for v in x]
    digits = max(0, 3 - math.floor(math.log10(column["scale"]))) if column["scale"] > 0 else 3
    values = x.astype(np.float64) * column["scale"] + column["mean"]
    return [f"{round(v, digits) + 0.0:,.10g}".replace("-", "−") if math.isfinite(v) else "–" for v in values.tolist()]


def _differ(column: Floats) -> float:
    """How likely two rows differ in a column, what is missing being a value like any other."""
    count = np.unique(np.nan_to_num(column, nan=np.inf), return_counts=True)[1]
    return float(1 - np.square(count / max(1, len(column))).sum())


def _colours(x: Floats, column: Column) -> NDArray[np.floating]:
    """Of each row (N,) the colour (N, 1, 1, 3) of its tile."""
    if column["categories"] is not None:
        colour = np.array(CATEGORIES)[np.nan_to_num(x).astype(int) % len(CATEGORIES)]
    else:
        level = np.nan_to_num(np.clip(x / MOST, -1, 1))
        colour = np.stack([np.interp(level, (-1, 0, 1), ends) for ends in zip(LOW, MIDDLE, HIGH, strict=True)], axis=-1)
    return np.asarray(colour[:, None, None], dtype=np.float64)


def _hatched(hatch: NDArray[np.bool_]) -> NDArray[np.floating]:
    return np.where(hatch, np.array(MISSING[0]), np.array(MISSING[1])).astype(np.float64)
