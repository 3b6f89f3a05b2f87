from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from ipse.claims.harness.statistics import Interval, bootstrap, interval, sign_flips, student, verdict


def test_student_by_hand() -> None:
    # 1, 2, 3: mean 2, s = 1, t(2) at 97.5% = 4.30265, half width 4.30265 / sqrt(3) = 2.48414
    assert student([1.0, 2.0, 3.0]) == pytest.approx((2 - 2.48414, 2 + 2.48414), abs=1e-5)


@pytest.mark.parametrize("n", [2, 5, 30])
def test_student_is_scipys(n: int) -> None:
    x = np.random.default_rng(n).normal(1.0, 2.0, n)
    reference = stats.ttest_1samp(x, 0.0).confidence_interval(0.95)
    assert student(x.tolist()) == pytest.approx((reference.low, reference.high))


def test_bootstrap_by_hand() -> None:
    # Of two numbers, a resample has the mean 0, 1/2 or 1 with chances 1/4, 1/2, 1/4: the middle 95% reach from end to end.
    assert bootstrap([0.0, 1.0]) == (0.0, 1.0)
    assert bootstrap([0.0, 1.0], confidence=0.4) == (0.5, 0.5)


@pytest.mark.parametrize("n", [5, 12])
def test_bootstrap_is_scipys(n: int) -> None:
    x = np.random.default_rng(n).exponential(1.0, n)
    reference = stats.bootstrap((x,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(1))
    ends = reference.confidence_interval
    assert bootstrap(x.tolist()) == pytest.approx((ends.low, ends.high), abs=0.05 * (ends.high - ends.low))
    assert bootstrap(x.tolist()) == bootstrap(x.tolist())


def test_bootstrap_of_five_is_that_of_every_resample() -> None:
    x = np.array([0.1, 0.4, 0.5, 0.9, 1.6])
    every = x[np.array(list(product(range(5), repeat=5)))].mean(axis=1)  # all 3125 of them
    assert bootstrap(x.tolist()) == pytest.approx(np.quantile(every, [0.025, 0.975]), abs=0.02)


def test_interval_covers_both() -> None:
    x = [0.3, -0.1, 0.2, 0.6, 0.4]
    low, high = interval(x) or (0.0, 0.0)
    assert low == min(bootstrap(x).low, student(x).low)
    assert high == max(bootstrap(x).high, student(x).high)
    assert interval([0.3]) is None
    assert interval([0.3, 0.3, 0.3]) == pytest.approx((0.3, 0.3))


def test_bootstrap_widens_the_interval_of_many_skewed_numbers() -> None:
    x = [0.0] * 30 + [1.0] * 2
    assert bootstrap(x).high > student(x).high
    assert interval(x) == (student(x).low, bootstrap(x).high)


@pytest.mark.parametrize(("n", "bootstraps"), [(3, 0.75), (5, 0.84)])
def test_how_often_the_truth_is_covered(n: int, bootstraps: float) -> None:
    """The numbers that the docstrings give, on 400 sets of normal noise around 0 (standard errors 0.011 and 0.022)."""
    sets = np.random.default_rng(0).normal(size=(400, n)).tolist()
    covered = [ends is not None and ends.low < 0 < ends.high for ends in map(interval, sets)]
    alone = [ends.low < 0 < ends.high for ends in map(bootstrap, sets)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.03)
    assert np.mean(alone) == pytest.approx(bootstraps, abs=0.06)


def test_sign_flips_by_hand() -> None:
    assert sign_flips([1.0, 2.0, 3.0, 4.0, 5.0]) == 2 / 32  # all the same sign: only it and its mirror image are as far from 0
    # |±1 ±2 ±3| >= |-1 + 2 + 3| = 4 for 1+2+3, -1+2+3 and their mirror images, of 8
    assert sign_flips([-1.0, 2.0, 3.0]) == 4 / 8
    assert sign_flips([0.0, 0.0]) == 1.0
    assert sign_flips([0.1] * 5) == 2 / 32


@pytest.mark.parametrize("n", [6, 9])
def test_sign_flips_are_scipys(n: int) -> None:
    x = np.random.default_rng(n).normal(0.5, 1.0, n)
    reference = stats.permutation_test(
        (x, np.zeros(n)), lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=10_000
    )
    assert sign_flips(x.tolist()) == pytest.approx(reference.pvalue)


def test_sign_flips_of_many_numbers_are_near_students() -> None:
    x = np.random.default_rng(3).normal(0.4, 1.0, 40)
    assert sign_flips(x.tolist()) == pytest.approx(stats.ttest_1samp(x, 0.0).pvalue, abs=0.01)
    assert 0 < sign_flips([1.0] * 60) < 1e-4


@pytest.mark.parametrize(
    ("kind", "bound", "ends", "expected"),
    [
        ("greater", 0.0, (0.1, 0.5), "holds"),
        ("greater", 0.0, (-0.1, 0.5), "not shown"),
        ("greater", 0.0, (0.0, 0.5), "not shown"),
        ("greater", 0.0, (-0.5, -0.1), "opposite"),
        ("greater", 1.0, (0.5, 3.0), "not shown"),
        ("greater", 1.0, (1.1, 3.0), "holds"),
        ("greater", 1.0, (-0.9, -0.1), "not shown"),
        ("greater", 1.0, (-3.0, -1.1), "opposite"),
        ("greater", -1.0, (-0.5, 0.3), "holds"),
        ("greater", -1.0, (-1.5, 0.3), "not shown"),
        ("greater", -1.0, (-3.0, -1.5), "opposite"),
        ("less", 0.0, (-0.5, -0.1), "holds"),
        ("less", 0.0, (-0.5, 0.1), "not shown"),
        ("less", 0.0, (0.1, 0.5), "opposite"),
        ("less", 1.0, (-3.0, -1.1), "holds"),
        ("less", 1.0, (-3.0, -0.9), "not shown"),
        ("less", 1.0, (1.1, 3.0), "opposite"),
        ("less", -1.0, (-0.3, 0.5), "holds"),
        ("less", -1.0, (1.5, 3.0), "opposite"),
        ("within", 2.0, (-1.9, 1.9), "holds"),
        ("within", 2.0, (-2.1, 1.0), "not shown"),
        ("within", 2.0, (-3.0, 3.0), "not shown"),
        ("within", 2.0, (2.1, 3.0), "opposite"),
        ("within", 2.0, (-3.0, -2.1), "opposite"),
        ("at_least", 0.5, (0.5, 0.5), "holds"),
        ("at_least", 0.5, (0.6, 0.9), "holds"),
        ("at_least", 0.5, (0.4, 0.9), "not shown"),
        ("at_least", 0.5, (0.1, 0.4), "opposite"),
        ("at_most", 0.01, (0.0, 0.01), "holds"),
        ("at_most", 0.01, (0.0, 0.02), "not shown"),
        ("at_most", 0.01, (0.02, 0.03), "opposite"),
    ],
)
def test_verdicts(kind: str, bound: float, ends: tuple[float, float], expected: str) -> None:
    assert verdict(kind, bound, Interval(*ends)) == expected  # type: ignore[arg-type]
    assert verdict(kind, bound, None) == "not shown"  # type: ignore[arg-type]
