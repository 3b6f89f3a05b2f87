"""How sure the mean of a few seeds is, and what that says about a claim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ipse.claims.harness.claim import Kind

Verdict = Literal["holds", "not shown", "opposite"]

_RESAMPLES = 10_000
_EXACT = 16  # seeds up to which every pattern of signs is counted


class Interval(NamedTuple):
    """From low to high, in the units of the measure."""

    low: float
    high: float


def bootstrap(x: Sequence[float], confidence: float = 0.95) -> Interval:
    """The percentile bootstrap interval of the mean: 10,000 resamples of the seeds with replacement, always the same ones.

    It is too narrow for few seeds: by sqrt((n - 1) / n) for the spread, and by the normal's quantile in the place of Student's.
    Of normal noise it covers the truth 75 times in 100 with 3 seeds, 84 times with 5, 91 times with 10.
    Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    values = np.asarray(x, np.float64)
    drawn = np.random.default_rng(0).integers(len(values), size=(_RESAMPLES, len(values)))
    return _interval(np.quantile(values[drawn].mean(axis=1), [(1 - confidence) / 2, (1 + confidence) / 2]))


def student(x: Sequence[float], confidence: float = 0.95) -> Interval:
    """mean ± t(n - 1) s / sqrt(n): exact for normal noise, however few the seeds. x: two numbers at least."""
    from scipy.stats import t

    values = np.asarray(x, np.float64)
    half = t.ppf((1 + confidence) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return _interval(values.mean() + half * np.array([-1.0, 1.0]))


def interval(x: Sequence[float]) -> Interval | None:
    """The 95% interval that verdicts rest on: what the bootstrap and Student's interval cover together; None for one seed.

    With the few seeds that a claim can afford this is Student's, which keeps the promised 95% where the bootstrap does not.
    With 5 seeds it covers the truth 95 times in 100 under normal noise and 83 times under log-normal noise, the bootstrap 84
    and 72 times. With many seeds, the bootstrap widens it on the side of a long tail.
    Nothing corrects for there being many claims: of 20 without any effect, one comes out as if it had one.
    """
    if len(x) < 2:
        return None
    a, b = bootstrap(x), student(x)
    return Interval(min(a.low, b.low), max(a.high, b.high))


def sign_flips(x: Sequence[float]) -> float:
    """The two-sided p-value of the sign-flip test that x is symmetric around 0.

    It is the share of all 2^n patterns of signs whose mean is as far from 0 as that of x; beyond 16 numbers, of random ones.
    It needs no normal noise, but n numbers cannot give less than 2 / 2^n: 0.0625 for five.
    """
    values = np.asarray(x, np.float64)
    n = len(values)
    if n <= _EXACT:
        signs = 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    else:
        signs = np.random.default_rng(0).choice([-1, 1], size=(2**_EXACT, n))
        signs[0] = 1
    return float(np.mean(np.abs(signs @ values) >= abs(values.sum()) * (1 - 1e-12)))


def verdict(kind: Kind, bound: float, interval: Interval | None) -> Verdict:
    """Whether the interval lies wholly where the claim says (holds), wholly on the other side (opposite), or neither.

    The interval is that of ours - baseline for greater, less and within, and of ours for at_least and at_most. The other side
    of `greater` by a bound is `less` by as much; of `within`, a difference beyond the bound; of `at_least`, less than it.
    """
    if interval is None:
        return "not shown"
    low, high = interval
    holds, opposite = {
        "greater": (low > bound, high < -abs(bound)),
        "less": (high < -bound, low > abs(bound)),
        "within": (-bound < low and high < bound, low > bound or high < -bound),
        "at_least": (low >= bound, high < bound),
        "at_most": (high <= bound, low > bound),
    }[kind]
    return "holds" if holds else "opposite" if opposite else "not shown"


def _interval(ends: NDArray[np.float64]) -> Interval:
    return Interval(float(ends[0]), float(ends[1]))
