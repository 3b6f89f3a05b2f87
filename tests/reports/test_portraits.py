"""Portraits of samples of each modality."""

from __future__ import annotations

import numpy as np
import pytest

from ipse.data.images import Images
from ipse.reports import portray
from ipse.reports.portraits import LARGE, SMALL

RNG = np.random.default_rng(0)


def test_pictures_keep_their_proportions_in_the_middle():
    x = RNG.integers(0, 256, (300, 4, 10, 20), dtype=np.uint8)
    made = portray(Images(x), np.array([0]))
    assert (made.called, made.thumbnails.shape, made.thumbnails.dtype) == ("pictures", (300, 20, 20, 3), np.uint8)
    square = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None, None], 8, 2).repeat(8, 3)
    np.testing.assert_array_equal(portray(Images(square), np.array([0])).thumbnails[..., 0], square[:, 0])


def test_audio_is_seen_and_heard(waves):
    made = portray(waves, np.array([1, 4]))
    assert made.called == "spectrograms"
    assert made.thumbnails.shape == (5, *SMALL, 3)
    assert made.closeups is not None
    assert made.closeups[0].tolist() == [1, 4]
    assert made.closeups[1].shape == (2, *LARGE, 3)
    assert list(made.sounds) == [1, 4]
    assert portray(waves, np.array([], dtype=np.int64)).closeups is None


def test_series_are_curves(series):
    made = portray(series, np.array([0, 5]))
    assert (made.called, made.channels, made.left_out) == ("plots", ["axis 0", "axis 1"], 0)
    assert made.thumbnails.shape == (6, *SMALL, 3)
    assert made.lines[0].shape == (2, 40)
    assert np.isnan(made.lines[0][:, 5:9]).all()
    assert np.isnan(made.lines[5][:, 20:]).all()


def test_of_many_channels_some_are_drawn(make_series):
    made = portray(make_series(9), np.array([0]))
    assert (len(made.channels), made.left_out, made.lines[0].shape) == (6, 3, (6, 40))


def test_rows_are_tiles_and_texts(rows):
    made = portray(rows, np.array([0]))
    assert made.called == "tiles"
    assert list(made.columns) == ["age", "city", "constant"]
    assert [list(cells) for cells in made.cells] == [["52", "Berlin", "0"], ["38.5", "Paris", "0"], ["–", "–", "0"]]
    assert portray(rows, np.array([0]), [1]).cells == [("Berlin",), ("Paris",), ("–",)]


@pytest.mark.parametrize("kind", ["waves", "series", "rows"])
def test_same_portraits_again(kind, request):
    samples = request.getfixturevalue(kind)
    first, again = (portray(samples, np.array([0, 1])) for _ in range(2))
    np.testing.assert_array_equal(first.thumbnails, again.thumbnails)
    assert first.sounds == again.sounds
    np.testing.assert_array_equal(portray(samples.subset([1, 2]), np.array([0])).thumbnails.shape, (2, *SMALL, 3))
