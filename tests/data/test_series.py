"""Series from arrays, and tables whose rows are steps or series."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from ipse.data import cutting, series_arrays
from ipse.data.series import Series
from ipse.data.series_arrays import SeriesArrays
from ipse.data.tabular import Frame, FrameFiles
from ipse.data.wanted import Files, NothingLeftError, Wanted
from ipse.errors import UserError

RNG = np.random.default_rng(0)


@pytest.fixture
def wanted(tmp_path):
    return Wanted(None, tmp_path / "cache", lambda *_: None)


@pytest.fixture
def table(tmp_path):
    """Writes a CSV and makes a source of it."""

    def make(text, name="a.csv"):
        (tmp_path / name).write_text(text)
        return FrameFiles(name, Files(tmp_path, [name], "train"))

    return make


def back(opened, rows):
    """Samples as they were before they were standardised."""
    form = opened.samples.form
    x = opened.samples.read(rows)["x"].double().numpy()
    return x * np.array(form["scale"])[:, None] + np.array(form["mean"])[:, None]


def why(opened):
    return [(item.name, item.reason) for item in opened.skipped]


def test_arrays_of_one_length(wanted):
    x = RNG.normal(5, 3, (6, 2, 20))
    opened = SeriesArrays("x", x, ["b", "a"] * 3).open(wanted)
    samples = opened.samples
    assert samples.form == {
        "modality": "series",
        "channels": 2,
        "length": 20,
        "names": ["0", "1"],
        "mean": pytest.approx(x.mean((0, 2)).tolist()),
        "scale": pytest.approx(x.std((0, 2)).tolist()),
    }
    assert samples.read([3, 1])["x"].dtype == torch.float32
    np.testing.assert_allclose(back(opened, [3, 1]), x[[3, 1]], atol=1e-5)
    assert (samples.y.tolist(), opened.classes, samples.group) == ([1, 0] * 3, ("a", "b"), None)
    assert list(samples.names) == ["0", "1", "2", "3", "4", "5"]
    assert opened.skipped == []


def test_one_channel_needs_no_axis(wanted):
    x = RNG.normal(size=(4, 9))
    assert back(SeriesArrays("x", x).open(wanted), [2])[0, 0] == pytest.approx(x[2], abs=1e-5)


def test_irregular_lengths_are_padded(wanted):
    x = [RNG.normal(size=(2, n)) for n in (5, 8, 6)]
    opened = SeriesArrays("x", x).open(wanted)
    found = back(opened, [0, 1, 2])
    assert found.shape == (3, 2, 8)
    for one, two in zip(found, x, strict=True):
        np.testing.assert_allclose(one[:, : two.shape[1]], two, atol=1e-5)
        assert np.isnan(one[:, two.shape[1] :]).all()


@pytest.mark.parametrize(
    ("lengths", "recording", "length"),
    [
        ([100] * 9, False, 100),
        ([512] * 9, False, 512),
        ([700] * 9, False, 512),
        ([20] * 9 + [25], False, 25),
        ([20] * 99 + [400], False, 20),
        ([5000], True, 128),
        ([400], True, 50),
        ([20], True, 8),
        ([3], True, 3),
    ],
)
def test_usual_lengths(lengths, recording, length):
    assert cutting._usual(np.array(lengths), recording) == length


def test_long_series_are_cut(wanted):
    x = np.arange(22.0).reshape(2, 11) ** 2
    opened = SeriesArrays("x", x, [7, 3]).open(replace(wanted, size=4))
    assert list(opened.samples.names) == ["0#step0", "0#step4", "0#step7", "1#step0", "1#step4", "1#step7"]
    np.testing.assert_allclose(back(opened, [2, 4])[:, 0], [x[0, 7:], x[1, 4:8]], atol=1e-4)
    assert opened.samples.group.tolist() == [0, 0, 0, 1, 1, 1]
    assert opened.samples.y.tolist() == [1, 1, 1, 0, 0, 0]


def test_what_belongs_together(wanted):
    opened = SeriesArrays("x", RNG.normal(size=(4, 9)), groups=["b", "a", "b", "a"]).open(wanted)
    assert opened.samples.group.tolist() == [1, 0, 1, 0]


def test_bad_series_are_named(wanted):
    nothing = np.full((2, 9), np.nan)
    x = [
        RNG.normal(size=(2, 9)),
        nothing,
        RNG.normal(size=(2, 1)),
        RNG.normal(size=(3, 9)),
        np.array([["a"], ["b"]]),
        np.zeros((2, 0)),
    ]
    x[0][0, 3], x[0][1, 4] = np.inf, np.nan
    opened = SeriesArrays("x", x, prefix="test/").open(wanted)
    assert list(opened.samples.names) == ["test/0"]
    assert torch.isnan(opened.samples.read([0])["x"][0]).nonzero().tolist() == [[0, 3], [1, 4]]
    assert sorted(why(opened)) == [
        ("channel 0", "1 cell is infinite, taken as missing"),
        ("test/1", "a series without numbers"),
        ("test/2", "a series of one step"),
        ("test/3", "3 channels, expected 2 channel(s) of numbers"),
        ("test/4", "an array of <U1, expected 2 channel(s) of numbers"),
        ("test/5", "a series of no steps"),
    ]


def test_windows_without_numbers_are_named(wanted):
    x = RNG.normal(size=(1, 12))
    x[0, 4:8] = np.nan
    x[0, 5] = 1
    opened = SeriesArrays("x", x).open(replace(wanted, size=4))
    assert list(opened.samples.names) == ["0#step0", "0#step8"]
    assert why(opened) == [("0#step4", "fewer than two numbers")]


def test_infinite_numbers_are_missing_and_counted(wanted, table):
    x = RNG.normal(size=(3, 7, 20))
    x[0, 0, 3], x[2, :6, 5] = -np.inf, np.inf
    opened = SeriesArrays("x", x).open(wanted)
    found = opened.samples.read([0, 1, 2])["x"].numpy()
    assert (np.isnan(found) == np.isinf(x)).all()
    assert why(opened) == [
        ("channel 0", "2 cells are infinite, taken as missing"),
        *((f"channel {i}", "1 cell is infinite, taken as missing") for i in range(1, 5)),
        ("1 more channel", "1 cell is infinite, taken as missing"),
    ]
    rows = [f"{clock(i)},{'inf' if i % 10 == 3 else i}" for i in range(40)]
    assert why(table("time,a\n" + "\n".join(rows)).open(wanted)) == [("column a", "4 cells are infinite, taken as missing")]
    lines = [",".join(f"t{i}" for i in range(20)), *(",".join(map(str, row)) for row in x[:, 0].cumsum(1))]
    assert why(table("\n".join(lines).replace("inf", "inf", 1)).open(replace(wanted, modality="series"))) == [
        ("columns t0 to t19", f"{int(np.isinf(x[:, 0].cumsum(1)).sum())} cells are infinite, taken as missing")
    ]


def test_empty_and_constant_channels(wanted):
    x = RNG.normal(size=(5, 3, 9))
    x[:, 0], x[:, 2] = np.nan, 4.0
    opened = SeriesArrays("x", x).open(wanted)
    assert opened.samples.form["names"] == ["1", "2"]
    assert opened.samples.form["scale"][1] == 1.0
    assert (opened.samples.read([0])["x"][0, 1] == 0).all()
    assert why(opened) == [("channel 0", "empty: left out")]


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((0, 4)), "x is empty"),
        (
            np.zeros((2, 3, 4, 5)),
            r"expected series \(N, T\) or \(N, C, T\) of numbers in x, got float64 of the shape \(2, 3, 4, 5\)",
        ),
        (np.array([["a"]]), "expected series"),
        ([], "x is empty"),
        (np.full((3, 5), np.nan), "no series of x is left: no channel has a number"),
        (np.ones((3, 1)), "no series of x is left: a series of one step"),
    ],
)
def test_no_series(wanted, x, message):
    with pytest.raises(UserError, match=message):
        SeriesArrays("x", x).open(wanted)


def test_a_test_part_is_like_the_training_part(wanted):
    train = SeriesArrays("x", RNG.normal(3, 2, (5, 2, 30))).open(wanted)
    test = SeriesArrays("t", RNG.normal(size=(3, 2, 70))).open(replace(wanted, like=train))
    assert test.samples.form == train.samples.form
    assert len(test.samples) == 9
    with pytest.raises(UserError, match="t has none of the channels that are needed: expected 0, 1, got a, b, c"):
        SeriesArrays("t", np.ones((3, 3, 7)), channels=("a", "b", "c")).open(replace(wanted, like=train))


def test_what_is_left_out_is_said_once(wanted, table):
    text = "time,a,empty,note\n" + "\n".join(f"{clock(i)},{i},,x" for i in range(40))
    train = table(text).open(wanted)
    assert [name for name, _ in why(train)] == ["column note", "channel empty"]
    test = table(text.replace(",x", ",x,5").replace("note", "note,new"), "b.csv")
    assert why(test.open(replace(wanted, like=train))) == [("channel new", "not known to the model: left out")]


def test_channels_go_by_their_names(wanted):
    form = {"modality": "series", "channels": 2, "length": 5, "names": ["b", "c"], "mean": [1.0, 0.0], "scale": [2.0, 1.0]}
    x = RNG.normal(size=(2, 2, 5))
    opened = SeriesArrays("x", x, channels=("a", "b")).open(replace(wanted, form=form))
    found = opened.samples.read([0, 1])["x"].numpy()
    np.testing.assert_allclose(found[:, 0], (x[:, 1] - 1) / 2, atol=1e-6)
    assert np.isnan(found[:, 1]).all()
    assert why(opened) == [
        ("channel c", "not in the data: taken as missing"),
        ("channel a", "not known to the model: left out"),
    ]


def test_the_key_is_that_of_the_content(wanted):
    x = RNG.normal(size=(4, 9))
    keys = [
        SeriesArrays("x", one, y).open(wanted).key for one, y in ((x, None), (x.copy(), None), (x + 1, None), (x, [0, 1, 0, 1]))
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_large_files_go_through_a_store(wanted, tmp_path, monkeypatch):
    monkeypatch.setattr(series_arrays, "_LARGE", 100)
    x = RNG.normal(size=(4, 2, 9))
    np.save(tmp_path / "x.npy", x)
    source = SeriesArrays("x", np.load(tmp_path / "x.npy", mmap_mode="r"), files=Files(tmp_path, ["x.npy"], "train"))
    opened = source.open(wanted)
    np.testing.assert_allclose(back(opened, [3, 0]), x[[3, 0]], atol=1e-5)
    sent = pickle.dumps(opened.samples)
    assert len(sent) < 2000
    again = pickle.loads(sent)
    assert torch.equal(again.read([1])["x"], opened.samples.read([1])["x"])
    assert torch.equal(source.open(wanted).samples.subset([2, 1]).read([1])["x"], opened.samples.read([1])["x"])


def test_samples_in_memory_can_be_pickled():
    samples = Series(np.arange(6, dtype=np.float32)[:, None], np.array([0, 3]), np.array([3, 2]), {"length": 3})
    assert pickle.loads(pickle.dumps(samples)).read([1])["x"][0, 0, :2].tolist() == [3, 4]


def clock(step):
    return f"2024-01-01 {step // 3600:02d}:{step // 60 % 60:02d}:{step % 60:02d}"


def test_a_recording(wanted, table):
    rows = [f"{clock(i)},{i},{i % 5 if i != 7 else 'off'},{'run' if i < 300 else 'walk'}" for i in range(600)]
    opened = table("time,a,b,label\n" + "\n".join(rows)).open(wanted)
    assert list(opened.samples.names)[:2] == ["a.csv#row0", "a.csv#row75"]
    assert opened.samples.form["names"] == ["a", "b"]
    np.testing.assert_allclose(back(opened, [1])[0, 0], np.arange(75, 150), atol=1e-3)
    assert set(opened.samples.group.tolist()) == {0}
    assert opened.samples.y.tolist() == [0] * 4 + [1] * 4
    assert why(opened) == [("column b", "1 cell is no number, taken as missing")]


def test_rows_out_of_order(wanted, table):
    order = RNG.permutation(200)
    opened = table("time,a\n" + "\n".join(f"{clock(i)},{i}" for i in order) + "\nnever,5\n").open(wanted)
    np.testing.assert_allclose(back(opened, [0, 1]).ravel(), np.arange(50), atol=1e-3)
    assert why(opened) == [("1 row", "nothing in 'time'")]


def test_duplicate_times_are_kept(wanted, table):
    opened = table("time,a\n" + "\n".join(f"{clock(i - (i == 9))},{i}" for i in range(40))).open(wanted)
    np.testing.assert_allclose(back(opened, range(5)).ravel(), np.arange(40), atol=1e-3)


def test_one_series_for_each_id(wanted, table):
    rows = [(f"s{k}", i, 100 * k + i, "ab"[k % 2]) for k in range(3) for i in range(10 + k)]
    mixed = [rows[i] for i in RNG.permutation(len(rows))]
    for part in (rows, mixed):
        opened = table("subject,t,v,class\n" + "\n".join(",".join(map(str, row)) for row in part)).open(wanted)
        names = list(opened.samples.names)
        assert sorted(names) == ["s0", "s1", "s2"]
        assert opened.samples.form["length"] == 12
        for name, one, y in zip(names, back(opened, range(3)), opened.samples.y, strict=True):
            k = int(name[1])
            np.testing.assert_allclose(one[0, : 10 + k], 100 * k + np.arange(10 + k), atol=1e-3)
            assert np.isnan(one[0, 10 + k :]).all()
            assert opened.classes[y] == "ab"[k % 2]


def test_a_number_a_row(wanted, table):
    rows = [
        f"s{k},{i},{v},{10 * k + i + (v == 'b') * 100}" for k in range(2) for i in range(5) for v in "ab" if (i, v) != (2, "a")
    ]
    opened = table("id,time,variable,value\n" + "\n".join(rows)).open(wanted)
    assert opened.samples.form["names"] == ["a", "b"]
    np.testing.assert_allclose(back(opened, [1])[0], [[10, 11, np.nan, 13, 14], np.arange(110, 115)], atol=1e-3)


def test_a_series_a_row(wanted, table):
    x = RNG.normal(size=(6, 20)).cumsum(1).round(3)
    lines = ["kind,weight," + ",".join(f"t{i}" for i in range(20))]
    lines += [f"k,{i}," + ",".join(map(str, row)) for i, row in enumerate(x)]
    lines[3] = lines[3].rsplit(",", 2)[0] + ",,"
    opened = table("\n".join(lines).replace("kind", "label")).open(wanted)
    assert (len(opened.samples), opened.samples.form["length"], opened.classes) == (6, 20, ("k",))
    found = back(opened, range(6))[:, 0]
    assert np.isnan(found[2]).tolist() == [False] * 18 + [True] * 2
    np.testing.assert_allclose(found[[0, 5]], x[[0, 5]], atol=1e-4)
    assert why(opened) == [("column weight", "no step of the series: left out")]


def test_a_data_frame(wanted):
    df = pd.DataFrame({"time": pd.date_range("2024", periods=100, freq="s"), "a": np.arange(100.0)})
    opened = Frame("df", df, y=["x"] * 50 + ["y"] * 50).open(wanted)
    assert list(opened.samples.names)[:2] == ["row0", "row12"]
    assert (opened.samples.y[0], opened.samples.y[-1], opened.classes) == (0, 1, ("x", "y"))
    assert not (wanted.cache / "stores").exists()
    with pytest.raises(UserError, match="expected one label for each of the 100 rows, got 3"):
        Frame("df", df, y=[1, 2, 3]).open(wanted)


def test_labels_beside_the_table_leave_its_columns(wanted):
    x = np.concatenate([RNG.integers(0, 2, (30, 1)), RNG.normal(size=(30, 20)).cumsum(1)], 1)
    df = pd.DataFrame(x, columns=map(str, range(21)))
    assert Frame("df", df).open(wanted).samples.form["length"] == 20
    opened = Frame("df", df, y=["a", "b", "c"] * 10).open(wanted)
    assert (opened.samples.form["length"], opened.classes) == (21, ("a", "b", "c"))


def test_many_short_and_one_long_series(wanted, monkeypatch):
    x = [RNG.normal(size=n) for n in (3, 5, 40, 2, 7)]
    whole = SeriesArrays("x", x).open(replace(wanted, size=8))
    monkeypatch.setattr(cutting, "_TOGETHER", 6)
    pieces = SeriesArrays("x", x).open(replace(wanted, size=8))
    assert list(pieces.samples.names) == list(whole.samples.names)
    np.testing.assert_allclose(back(pieces, range(9)), back(whole, range(9)), atol=1e-5)
    np.testing.assert_allclose(back(pieces, [4])[0, 0], x[2][16:24], atol=1e-5)


def test_the_store_is_used_again(wanted, table, monkeypatch):
    source = table("time,a\n" + "\n".join(f"{i},{i}" for i in range(50)))
    first = source.open(wanted)
    monkeypatch.setattr("ipse.data.steps.Steps._gather", None)
    again = source.open(wanted)
    assert again.key == first.key
    assert torch.equal(again.samples.read([0])["x"], first.samples.read([0])["x"])
    assert [path.suffix for path in (wanted.cache / "stores").iterdir()] == [""]


def test_a_table_is_no_series(wanted):
    df = pd.DataFrame({"time": pd.date_range("2024", periods=100, freq="s"), "a": np.arange(100.0)})
    form = {"modality": "series", "channels": 1, "length": 10, "names": ["a"], "mean": [0.0], "scale": [1.0]}
    assert Frame("df", df[["a"]]).open(replace(wanted, form=form)).samples.form == form
    with pytest.raises(NothingLeftError, match="no series of df is left: a series of one step"):
        Frame("df", df[:1]).open(replace(wanted, modality="series"))
