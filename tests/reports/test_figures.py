import json
import math

import numpy as np
import pytest

from ipse.reports import figures


def test_curves_of_a_log():
    history = [
        {"step": 0, "epoch": 0.0, "seconds": 0.1, "lr": 1.0, "loss": 3.0},
        {"step": 1, "epoch": 0.5, "seconds": 0.2, "lr": 1.0, "loss": float("nan"), "watch/rankme": 5},
        {"step": 1, "event": "went back"},
        {"step": 1, "epoch": 0.5, "seconds": 0.3, "lr": 0.001, "loss": 2.0, "flag": True, "text": "no number"},
        {"step": 2, "evaluation": {"knn": 0.5}},
        {"loss": 9.0},
    ]
    loss, lr, rankme = figures.curves(history)
    assert (loss["name"], loss["title"], loss["x"], loss["y"], loss["log"]) == ("loss", "Loss", [0, 1], [3.0, 2.0], False)
    assert (lr["y"], lr["log"]) == ([1.0, 0.001], True)
    assert (rankme["title"], rankme["y"]) == ("watch/rankme", [5.0])
    assert figures.events(history) == [{"step": 1, "text": "went back"}]
    assert figures.clock(history) == [[0, 0.0, 0.1], [1, 0.5, 0.3]]


def test_a_long_series_keeps_its_spikes():
    y = np.random.default_rng(0).standard_normal(50_000)
    y[12_345], y[40_001], y[7] = 99, -99, np.inf
    (curve,) = figures.curves({"step": i, "loss": float(v)} for i, v in enumerate(y))
    assert len(curve["x"]) <= figures.POINTS
    assert {99.0, -99.0} <= set(curve["y"])
    assert (curve["x"][0], curve["x"][-1], curve["missing"]) == (0, 49_999, 1)
    assert max(abs(v) for v in curve["smooth"] if v is not None) < 0.3
    json.dumps(curve, allow_nan=False)


@pytest.mark.parametrize(
    ("y", "log"), [([1, 100], False), ([1, 101], True), ([0, 1e6], False), ([-1, 1e6], False), ([5], False)]
)
def test_log_scale_for_more_than_two_decades_of_positive_values(y, log):
    (curve,) = figures.curves({"step": i, "loss": v} for i, v in enumerate(y))
    assert curve["log"] is log


def test_only_noisy_series_are_smoothed():
    steps = np.arange(200)
    straight, noisy = steps / 200, steps / 200 + np.random.default_rng(0).standard_normal(200)
    history = [
        {"step": int(i), "loss": a, "noisy": b} for i, a, b in zip(steps, straight.tolist(), noisy.tolist(), strict=True)
    ]
    loss, other = figures.curves(history)
    assert loss["smooth"] is None
    np.testing.assert_allclose(other["smooth"][100], noisy[96:105].mean(), rtol=1e-4)  # 200 / 25 = 8, made odd: 9


def test_spectrum_by_hand():
    made = figures.spectrum(np.array([1.0, 6.0, 3.0, 0.0]))
    assert made["share"] == [0.6, 0.3, 0.1]
    assert math.isclose(made["dimension"], 1 / (0.36 + 0.09 + 0.01))
    assert (made["ninety"], made["size"]) == (2, 4)
    assert math.isclose(figures.spectrum(np.full(7, 2.5))["dimension"], 7)
    for nothing in (None, np.zeros(5), np.empty(0), np.array([np.nan])):
        assert figures.spectrum(nothing) is None


def test_groups():
    legend, entry = figures.groups([1, 0, -1, 1, 7], ["cat", "dog"])
    assert [(g["name"], g["count"], g["kind"]) for g in legend] == [
        ("cat", 1, "class"),
        ("dog", 2, "class"),
        ("7", 1, "class"),
        ("no label", 1, "none"),
    ]
    assert entry == [1, 0, 3, 1, 2]
    assert figures.groups([], []) == ([], [])
    assert [g["kind"] for g in figures.groups([-1, -1], [])[0]] == ["none"]


def test_beyond_twenty_classes_the_smaller_ones_stand_together():
    labels = [label for label in range(25) for _ in range(1 + (label % 5))]
    legend, entry = figures.groups(labels, [])
    assert len(legend) == 20
    assert (legend[-1]["kind"], legend[-1]["name"]) == ("other", "6 other classes")
    assert sum(g["count"] for g in legend) == len(labels) == len(entry)
    grouped = {label for label, place in zip(labels, entry, strict=True) if place == 19}
    assert grouped == {0, 5, 10, 15, 20, 21}  # the five classes of one sample, and the last of those with two


def test_plane():
    assert figures.plane(np.array([[1.0, 1.0], [3.0, 2.0], [np.nan, 0.0]])) == [[0, 0], [10_000, 5_000], None]
    assert figures.plane(np.zeros((2, 2))) == [[0, 0], [0, 0]]
    assert figures.plane(np.full((1, 2), np.nan)) == [None]
