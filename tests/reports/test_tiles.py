import numpy as np
import pytest

from ipse.reports.tiles import CATEGORIES, HIGH, LOW, MIDDLE, MISSING, columns_shown, readable, tiles


def number(name="n", mean=0.0, scale=1.0):
    return {"name": name, "categories": None, "mean": mean, "scale": scale}


def choice(*values):
    return {"name": "c", "categories": list(values), "mean": 0.0, "scale": 1.0}


def test_tiles_by_hand():
    x = np.array([[-2.5, 0.0, 9.0], [np.nan, 1.0, 2.0]])
    first, second = tiles(x, [number(), number(), choice(*"abcdefghijkl")], 12, 36)
    assert [first[5, 5].tolist(), first[5, 17].tolist(), first[5, 29].tolist()] == [
        list(LOW),
        list(MIDDLE),
        list(CATEGORIES[9]),
    ]
    assert {tuple(pixel) for pixel in second[:11, :11].reshape(-1, 3).tolist()} == set(MISSING)
    reddish = second[5, 17].astype(int)
    assert HIGH[0] < reddish[0] <= 247
    assert reddish[1] < 247
    assert second[5, 29].tolist() == list(CATEGORIES[2])
    assert (first[:, 11] == 255).all()  # between the tiles


@pytest.mark.parametrize("columns", [1, 2, 7, 50, 300, 5000])
def test_any_number_of_columns(columns):
    x = np.random.default_rng(0).standard_normal((3, columns))
    made = tiles(x, [number()] * columns, 45, 60)
    assert made.shape == (3, 45, 60, 3)
    assert len(np.unique(made.reshape(3, -1, 3)[0], axis=0)) > min(columns, 100) / 2


def test_columns_in_which_rows_differ_come_first():
    n = 100
    constant, halves, every = np.zeros(n), np.arange(n) % 2, np.arange(n)
    hardly = np.zeros(n)
    hardly[3] = np.nan
    x = np.stack([constant, halves, hardly, every, every], axis=1).astype(float)
    assert columns_shown(x, 2).tolist() == [3, 4]
    assert columns_shown(x, 3).tolist() == [1, 3, 4]
    assert columns_shown(x, 4).tolist() == [1, 2, 3, 4]
    assert columns_shown(x, 9).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("values", "column", "texts"),
    [
        ([38.0, 17.0], number(mean=38.58, scale=13.64), ["38", "17"]),
        ([48842.0, -3.0], number(mean=1e4, scale=2e4), ["48,842", "−3"]),
        ([0.12345678], number(mean=0.1, scale=0.05), ["0.12346"]),
        ([1.5e-7], number(mean=0.0, scale=1e-7), ["1.5e−07"]),
        ([0.0], number(mean=1.0, scale=3.0), ["0"]),
        ([1e12], number(mean=1e12, scale=1e11), ["1e+12"]),
        ([5.0], number(mean=5.0, scale=0.0), ["5"]),
    ],
)
def test_numbers_read_as_they_were(values, column, texts):
    x = (np.array(values) - column["mean"]) / (column["scale"] or 1)
    assert readable(x.astype(np.float32), column) == texts


def test_categories_and_what_is_missing():
    assert readable(np.array([0.0, 1.0, np.nan, 7.0]), choice("<b>", "b")) == ["<b>", "b", "–", "–"]
    assert readable(np.array([np.nan, np.inf]), number()) == ["–", "–"]
