"""A part of the samples is set aside."""

from __future__ import annotations

import numpy as np

from ipse.data import Images, holdout


def images(y):
    return Images(np.zeros((len(y), 1, 2, 2), np.uint8), np.asarray(y, np.int64))


def test_every_class_is_split_alike():
    y = [0] * 50 + [1] * 10 + [2] * 3 + [3] * 2 + [4] + [-1] * 20
    train, test = holdout(images(y))
    assert sorted([*train, *test]) == list(range(len(y)))
    assert (np.diff(train) > 0).all()
    assert (np.diff(test) > 0).all()
    y = np.array(y)
    assert {c: int((y[test] == c).sum()) for c in range(-1, 5)} == {-1: 4, 0: 10, 1: 2, 2: 1, 3: 1, 4: 0}
    assert {c: int((y[holdout(images(y), 0.99)[0]] == c).sum()) for c in range(5)} == {0: 1, 1: 1, 2: 1, 3: 1, 4: 1}


def test_it_is_the_same_every_time_and_another_with_another_seed():
    y = np.full(1000, -1)
    first = holdout(images(y), 0.3)[1]
    assert (holdout(images(y), 0.3)[1] == first).all()
    assert len(first) == 300
    other = holdout(images(y), 0.3, seed=1)[1]
    assert 60 < len(set(first) & set(other)) < 120  # 90 by chance
    assert abs(first.mean() - 499.5) < 50


def test_what_belongs_together_stays_together():
    whole = images([0, 1] * 30)
    whole.group = np.arange(60) // 6 * 10 - 7
    train, test = holdout(whole)
    assert not set(whole.group[train]) & set(whole.group[test])
    assert len(test) == 12
    whole.group = np.full(60, 3)  # one group: there is nothing else to split
    assert (holdout(whole)[1] == holdout(images([0, 1] * 30))[1]).all()


def test_subsets_are_split_too():
    part = images([0, 1] * 20).subset(np.arange(10, 30))
    train, test = holdout(part)
    assert len(train) == 16
    assert sorted(part.y[test]) == [0, 0, 1, 1]
