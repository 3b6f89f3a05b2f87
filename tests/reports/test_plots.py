import numpy as np
import pytest

from ipse.data import form
from ipse.data.series import Series
from ipse.reports.plots import COLOURS, POINTS, lines, plots, thinned


def ink(picture):
    return picture.astype(int).sum(axis=-1) < 700


def test_a_rising_line_rises():
    (picture,) = plots(np.linspace(-1, 1, 50)[None, None], 40, 60)
    assert picture.shape == (40, 60, 3)
    rows = [np.flatnonzero(column).mean() for column in ink(picture).T[2:-2]]
    assert (np.diff(rows) < 0.2).all()
    assert rows[0] > 30
    assert rows[-1] < 8


def test_nothing_is_drawn_in_a_gap():
    x = np.zeros((2, 1, 60))
    x[0, 0, 20:40] = np.nan
    x[1] = np.nan
    gap, empty = plots(x, 40, 60)
    drawn = ink(gap).any(axis=0)
    assert drawn[3:18].all()
    assert not drawn[22:38].any()
    assert drawn[42:57].all()
    assert (empty == 255).all()


def test_a_value_alone_is_a_dot():
    x = np.full((1, 1, 9), np.nan)
    x[0, 0, 4] = 1
    (picture,) = plots(x, 40, 60)
    assert 1 <= ink(picture).sum() <= 12
    assert ink(picture)[:, 28:32].any()


def test_channels_have_colours_and_samples_one_scale():
    picture, flat = plots(np.array([[[1.0, 1], [-1, -1]], [[0.01, 0.01], [0, 0]]]), 40, 60)
    assert (picture[:10].reshape(-1, 3) == COLOURS[0]).all(axis=-1).any()
    assert (picture[-10:].reshape(-1, 3) == COLOURS[1]).all(axis=-1).any()
    assert ink(flat)[15:25].any()
    assert not ink(flat)[:10].any()


def test_an_outlier_does_not_flatten_the_rest():
    x = np.tile(np.sin(np.linspace(0, 9, 100)), (50, 1, 1))
    x[0, 0, 0] = 1e6
    assert ink(plots(x, 40, 60)[1]).any(axis=1).sum() > 25


def test_spikes_survive_thinning():
    x = np.zeros((2, 3, 5000))
    x[1, 2, 1234], x[0, 1, 4999] = 7, -5
    made = thinned(x)
    assert made.shape[-1] <= POINTS
    assert (made[1, 2].max(), made[0, 1].min()) == (7, -5)
    x[0, 0, 1000:2000] = np.nan
    made = thinned(x)
    assert 28 <= np.isnan(made[0, 0]).sum() <= 34
    assert not np.isnan(made[1:]).any()


@pytest.mark.parametrize("steps", [1, 2, 159, 160, 161, 1000])
def test_any_length(steps):
    made = thinned(np.arange(steps, dtype=float))
    assert len(made) <= POINTS
    known = made[np.isfinite(made)]
    assert (known[0], known[-1]) == (0, steps - 1)


def test_the_channels_that_vary_most():
    x = np.random.default_rng(0).standard_normal((200, 8)).astype(np.float32) * [1, 0.1, 1, 1, 0, 1, 1, 1]
    made = lines(Series(x.astype(np.float32), np.arange(4) * 50, np.full(4, 50), form.series(8, 50)))
    assert made.channels.tolist() == [0, 2, 3, 5, 6, 7]
    np.testing.assert_allclose(made.curves[1], x[50:100, made.channels].T, rtol=1e-6)
