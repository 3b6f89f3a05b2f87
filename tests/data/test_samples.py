"""What all samples have."""

from __future__ import annotations

import numpy as np
import pytest

from ipse.data import Images


@pytest.fixture
def samples():
    return Images(np.zeros((10, 1, 2, 2), np.uint8))


@pytest.mark.parametrize(
    ("most", "places"), [(1, [0]), (2, [0, 9]), (4, [0, 3, 6, 9]), (5, [0, 2, 4, 6, 9]), (10, list(range(10))), (99, list(range(10)))]
)  # fmt: skip
def test_some_from_everywhere(samples, most, places):
    assert samples.spread(most).tolist() == places
    assert samples.spread(most).dtype == np.int64
    assert samples.subset([]).spread(most).tolist() == []


def test_groups_are_numbered_from_0_on(samples):
    assert samples.group_numbers.tolist() == list(range(10))
    samples.group = np.array([7, -3, 7, 90, 90, -3, 7, 90, 90, 90])
    assert samples.group_numbers.tolist() == [1, 0, 1, 2, 2, 0, 1, 2, 2, 2]
    assert samples.subset([3, 1, 7]).group_numbers.tolist() == [1, 0, 1]
