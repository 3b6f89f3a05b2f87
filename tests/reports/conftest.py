"""Small samples of each modality."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ipse.data import form
from ipse.data.rows import Rows
from ipse.data.series import Series
from ipse.data.strings import Strings
from ipse.data.waves import Waves


@pytest.fixture
def waves() -> Waves:
    """Five tones, each clip shorter than the one before: 0.5 s, 0.44 s, ..."""
    length = np.array([8000 - 1000 * i for i in range(5)])
    x = np.concatenate([(9000 * np.sin(2 * np.pi * (300 + 700 * i) * np.arange(t) / 16000)) for i, t in enumerate(length)])
    names = Strings.of(f"{i}.wav" for i in range(5))
    return Waves(x.astype(np.int16), np.cumsum(length) - length, length, np.full(5, -1), names, window=8000)


@pytest.fixture
def make_series() -> Callable[[int], Series]:
    """Six series of some channels and 40 steps; the first has a gap, the last ends early."""

    def make(channels: int) -> Series:
        x = np.random.default_rng(0).standard_normal((6 * 40, channels)).astype(np.float32)
        x[5:9] = np.nan
        steps = np.full(6, 40)
        steps[-1] = 20
        return Series(x, np.arange(6) * 40, steps, form.series(channels, 40, [f"axis {i}" for i in range(channels)]))

    return make


@pytest.fixture
def series(make_series: Callable[[int], Series]) -> Series:
    return make_series(2)


@pytest.fixture
def rows() -> Rows:
    """Three rows of a number, a category and a constant; nothing is known of the last one's first two."""
    columns = [
        {"name": "age", "categories": None, "mean": 38.5, "scale": 13.5},
        {"name": "city", "categories": ["Berlin", "Paris"], "mean": 0.0, "scale": 1.0},
        {"name": "constant", "categories": None, "mean": 0.0, "scale": 1.0},
    ]
    return Rows(np.array([[1.0, 0, 0], [0.0, 1, 0], [np.nan, np.nan, 0]], np.float32), form.table(columns))
