"""What the guard objects to, and what it remembers."""

from __future__ import annotations

import math

import pytest

from ipse.training.guard import Guard


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none(bad: float) -> None:
    guard = Guard()
    assert guard.objection(bad, 1.0) == f"the loss became {bad}"
    assert guard.objection(1.0, bad) == f"the gradient became {bad}"
    assert guard.memory() == []


def test_a_jump_of_the_gradient() -> None:
    guard = Guard(limit=100, patience=3)
    assert [guard.objection(1.0, norm) for norm in (1.0, 1e6, 2.0)] == [None] * 3  # too early to know what is usual
    assert guard.objection(1.0, 150.0) is None  # the median is 2
    assert guard.objection(1.0, 2 * 175.5 * 100) == "the gradient's norm jumped to 3.51e+04, usually 76"
    assert 35100.0 not in guard.memory()


def test_it_forgets_what_is_long_ago() -> None:
    guard = Guard(limit=10, memory=5, patience=5)
    for norm in [100.0] * 5 + [1.0] * 5:
        assert guard.objection(1.0, norm) is None
    assert guard.memory() == [1.0] * 5
    assert guard.objection(1.0, 11.0) is not None


def test_gradients_that_vanish_do_not_make_any_other_a_jump() -> None:
    guard = Guard(limit=1e3, patience=2)
    for norm in (0.0, 0.0, 1e-10):
        assert guard.objection(1.0, norm) is None


def test_it_goes_on_as_before_after_a_resume() -> None:
    guard, other = Guard(limit=10, patience=2), Guard(limit=10, patience=2)
    for norm in (1.0, 2.0, 3.0):
        guard.objection(1.0, norm)
    other.remember(guard.memory(), rollbacks=2)
    assert other.rollbacks == 2
    for norm in (15.0, 25.0):
        assert other.objection(1.0, norm) == guard.objection(1.0, norm)
