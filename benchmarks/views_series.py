"""Views per second of series: ipse against tsaug, series by series and in batches."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.timing import Figures, against, beside, missing
from ipse import randomness
from ipse.transforms import Look
from ipse.transforms.series import SeriesPolicy, SeriesViewer

# What both do: a crop stretched to the whole length, a warp of time, a slow change of the values, noise.
CROP, WARP, MAGNITUDE, NOISE, JITTER = (0.5, 1.0), 0.25, 0.25, 0.5, 0.1
SHARED = SeriesPolicy(
    crop=CROP,
    time_warp=WARP,
    permutation=0.0,
    scaling=0.0,
    magnitude_warp=MAGNITUDE,
    frequency_noise=0.0,
    noise=NOISE,
    jitter=JITTER,
    cutout=0.0,
)


def waves(n: int, channels: int, length: int) -> Tensor:
    """Sums of noise, (n, channels, length), standardised."""
    x = randomness.normal(0, torch.arange(n), channels * length).view(n, channels, length).cumsum(dim=2)
    return (x - x.mean()) / x.std()


def ours(x: Tensor, policy: SeriesPolicy) -> Callable[[], Any]:
    viewer, raw, position = SeriesViewer(policy), {"x": x}, torch.arange(len(x))
    return lambda: viewer.view(raw, Look(), 0, position)


def tsaug(x: Tensor, whole: bool) -> Callable[[], Any]:
    """Its pipe on arrays (N, T, C) of float64, which it works in: all at once, or series by series."""
    import tsaug as T

    length = x.shape[2]
    pipe = T.Crop(size=(round(CROP[0] * length), round(CROP[1] * length) + 1), resize=length)
    pipe += T.TimeWarp(n_speed_change=3, max_speed_ratio=1.5) @ WARP
    pipe += T.Drift(max_drift=0.2, n_drift_points=4, normalize=False) @ MAGNITUDE
    pipe += T.AddNoise(scale=JITTER, normalize=False) @ NOISE
    arrays = x.double().transpose(1, 2).contiguous().numpy()
    if whole:
        return lambda: pipe.augment(arrays)
    return lambda: [pipe.augment(arrays[i : i + 1]) for i in range(len(arrays))]


def measure(
    batch: int = 256, channels: int = 6, length: int = 128, rounds: int = 5, seconds: float = 0.5, peers: int = 64
) -> Figures:
    """Views per second. `peers`: how many series go to tsaug series by series per call; its rate does not depend on it."""
    x = waves(batch, channels, length)
    some, absent = x[:peers], missing("tsaug")
    contestants = {"ipse": (len(x), ours(x, SHARED)), "ipse, its usual views": (len(x), ours(x, SeriesPolicy()))}
    if not absent:
        contestants["tsaug, series by series"] = len(some), tsaug(some, whole=False)
        contestants["tsaug, whole batch"] = len(x), tsaug(x, whole=True)
    with torch.no_grad():
        return beside(contestants, rounds, seconds, absent)


render = against

if __name__ == "__main__":
    sys.stdout.write(render(measure()) + "\n")
