"""Series as small line plots."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ipse.data import Samples

CHANNELS = 6  # drawn
POINTS = 160  # of a curve at most
COLOURS = ((53, 53, 184), (177, 102, 49), (37, 169, 116), (165, 150, 5), (156, 13, 127), (5, 108, 178))

Floats = NDArray[np.floating]


class Lines(NamedTuple):
    """Curves (N, C, P) of samples, NaN where nothing is known, and which channels (C,) they are of."""

    curves: NDArray[np.float32]
    channels: NDArray[np.int64]


def lines(samples: Samples) -> Lines:
    """The series with at most 160 points; of more than 6 channels, the 6 that vary most, in their order."""
    channels = np.arange(samples.form["channels"])
    if len(channels) > CHANNELS:
        some = samples.read(samples.spread(64))["x"].numpy()
        channels = np.sort(np.argsort(-_spread(some), kind="stable")[:CHANNELS])
    parts = [thinned(samples.read(index)["x"].numpy()[:, channels]) for index in torch.arange(len(samples)).split(64)]
    return Lines(np.concatenate(parts), channels)


def thinned(x: Floats, points: int = POINTS) -> NDArray[np.float32]:
    """Series (..., T) of at most `points` numbers: the lowest and the highest of each stretch, in their order; no spike is lost.

    >>> thinned(np.array([0.0, 5, 1, 2, -3, 0]), points=4).tolist()
    [0.0, 5.0, 2.0, -3.0]
    """
    steps = x.shape[-1]
    if steps <= points:
        return x.astype(np.float32)
    stretch = -(-steps // (points // 2))
    room = np.full((*x.shape[:-1], -steps % stretch), np.nan)
    parts = np.concatenate([x, room], axis=-1).reshape(*x.shape[:-1], -1, stretch)
    known = np.isfinite(parts)
    low, high = np.where(known, parts, np.inf).argmin(-1), np.where(known, parts, -np.inf).argmax(-1)
    places = np.sort(np.stack([low, high], axis=-1), axis=-1)
    kept = np.take_along_axis(parts, places, axis=-1).reshape(*x.shape[:-1], -1)
    return np.where(np.isfinite(kept), kept, np.nan).astype(np.float32)


def plots(curves: Floats, height: int, width: int) -> NDArray[np.uint8]:
    """Line plots (N, height, width, 3) of curves (N, C, P), all on one scale; a point alone is a dot, nothing stands where nothing is known.

    The scale holds 99 of 100 values; those beyond are cut off at the edge.
    """
    known = curves[np.isfinite(curves)]
    low, high = np.percentile(known, (0.5, 99.5)) if len(known) else (0.0, 1.0)
    middle, half = (low + high) / 2, max((high - low) / 2, 1e-6) * 1.08
    y = (1 - np.clip((curves - middle) / half, -1, 1)) / 2
    return np.stack([_plot(sample, height, width) for sample in y]) if len(y) else np.zeros((0, height, width, 3), np.uint8)


def _plot(y: Floats, height: int, width: int, fine: int = 4) -> NDArray[np.uint8]:
    """One plot of curves (C, P) from 0 at the top to 1 at the bottom, drawn larger and made small, so that its lines are smooth."""
    picture = Image.new("RGB", (width * fine, height * fine), (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    x = np.linspace(fine, (width - 1) * fine, y.shape[-1])
    for number in reversed(range(len(y))):
        row = y[number] * (height - 2) * fine + fine
        for part in _runs(np.isfinite(row)):
            place = list(zip(x[part].tolist(), row[part].tolist(), strict=True))
            if len(place) == 1:
                (px, py) = place[0]
                draw.ellipse((px - fine, py - fine, px + fine, py + fine), fill=COLOURS[number])
            else:
                draw.line(place, fill=COLOURS[number], width=round(1.4 * fine), joint="curve")
    return np.asarray(picture.resize((width, height), Image.Resampling.BOX))


def _runs(known: NDArray[np.bool_]) -> list[slice]:
    """Where a curve goes on without a gap."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(np.int8)))
    return [slice(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _spread(x: Floats) -> Floats:
    """The deviation (C,) of the channels of series (N, C, T); 0 of one that is not known."""
    known = np.isfinite(x)
    count = np.maximum(known.sum(axis=(0, 2)), 1)
    mean = np.where(known, x, 0).sum(axis=(0, 2)) / count
    return np.asarray(np.sqrt(np.where(known, (x - mean[:, None]) ** 2, 0).sum(axis=(0, 2)) / count))
