from __future__ import annotations

import math
from itertools import pairwise

import pytest

from ipse.errors import UserError
from ipse.optim.schedules import constant, cosine, infinite


def test_cosine() -> None:
    rate = cosine(110, 10, final=0.2)
    assert [rate(n) for n in (0, 5, 10)] == [0, 0.5, 1]
    assert rate(60) == pytest.approx(0.6)
    assert rate(110) == rate(500) == pytest.approx(0.2)
    assert rate(35) == pytest.approx(0.2 + 0.8 * (1 + math.cos(math.pi / 4)) / 2)


def test_constant() -> None:
    rate = constant(100, 4)
    assert [rate(n) for n in (0, 1, 2, 4, 99, 1000)] == [0, 0.25, 0.5, 1, 1, 1]


@pytest.mark.parametrize("build", [cosine, constant, infinite])
def test_short_runs(build: object) -> None:
    assert 0 < build(1, 0)(0) <= 1  # type: ignore[operator]
    for total in range(1, 30):
        for warmup in (0, 1, total):
            rate = build(total, min(warmup, total))  # type: ignore[operator]
            assert all(0 <= rate(n) <= 1 for n in range(total))
            assert warmup == total or any(rate(n) > 0 for n in range(total))


def test_infinite_is_continuous() -> None:
    rate = infinite(1000, 100, cooldown=300, anneal=200, constant=0.4, final=0.02)
    assert rate(100) == 1
    assert rate(99) == pytest.approx(1, abs=0.011)
    assert rate(400) == rate(401) == rate(799) == 0.4
    assert rate(399) == pytest.approx(0.4, abs=1e-4)
    assert rate(800) == pytest.approx(0.4)
    assert rate(1000) == rate(2000) == pytest.approx(0.02)
    assert rate(250) == pytest.approx(0.7)


def test_a_cool_down_by_an_inverse_square_root() -> None:
    sharpness, end = 3.0, 0.4
    rate = infinite(1000, 100, cooldown=300, anneal=200, constant=end, inverse_sqrt=sharpness)
    assert rate(100) == 1
    assert rate(400) == end
    assert rate(399) == pytest.approx(end, abs=2e-3)
    assert rate(250) == pytest.approx(1 - 0.6 * (1 - 1 / 2.5**0.5) / (1 - 1 / 2))  # half way: 1 + 3 / 2 under the root
    steps = [rate(n) for n in range(100, 401)]
    assert steps == sorted(steps, reverse=True)
    with pytest.raises(UserError, match="inverse_sqrt must be more than 0"):
        infinite(100, 10, inverse_sqrt=0.0)


def test_a_plateau_at_the_peak_is_warm_up_stable_decay() -> None:
    rate = infinite(100, 10, cooldown=30, anneal=20, constant=1.0)
    assert {rate(n) for n in range(10, 81)} == {1.0}


def test_the_past_does_not_depend_on_the_future() -> None:
    short, long = (infinite(total, 10, cooldown=30, anneal=20) for total in (100, 900))
    assert [short(n) for n in range(80)] == [long(n) for n in range(80)]


def test_annealing_is_exponential() -> None:
    rate = infinite(100, 10, cooldown=30, anneal=20, constant=0.5, final=0.05)
    logs = [math.log(rate(n)) for n in range(80, 101)]
    assert [b - a for a, b in pairwise(logs)] == pytest.approx([math.log(0.1) / 20] * 20)


def test_defaults_of_infinite() -> None:
    rate = infinite(1000, 100)
    assert rate(350) == rate(900) == 0.3
    assert rate(349) > 0.3 > rate(901)


def test_mistakes() -> None:
    for build in (cosine, constant, infinite):
        with pytest.raises(UserError, match=r"warm-up \(20 steps\) is longer than the run \(10 steps\)"):
            build(10, 20)
    with pytest.raises(UserError, match=r"10 \+ 80 \+ 20 steps"):
        infinite(100, 10, cooldown=80, anneal=20)
    with pytest.raises(UserError, match="0 < final <= constant <= 1"):
        infinite(100, 10, final=0.0)
