"""Series in .ts files."""

from __future__ import annotations

import sys
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ipse.data.ts_files import TsFile, aeon_names, aeon_set, ts_folder
from ipse.data.wanted import Wanted
from ipse.errors import UserError

HOME = Path.home() / ".cache" / "ipse" / "data" / "aeon-sets"

HEAD = "# about\n%more\n@problemName it\n@timeStamps false\n@univariate false\n@classLabel true b a\n\n@data\n"


@pytest.fixture
def wanted(tmp_path):
    return Wanted(None, tmp_path / "cache", lambda *_: None)


def ts(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return TsFile(path.stem, path)


def back(opened):
    form = opened.samples.form
    x = opened.samples.read(range(len(opened.samples)))["x"].double().numpy()
    return x * np.array(form["scale"])[:, None] + np.array(form["mean"])[:, None]


def test_channels_and_labels(wanted, tmp_path):
    opened = ts(tmp_path / "it.ts", HEAD + "1,2,3:4,5,?:a\n7,8:9,10:b\n").open(wanted)
    np.testing.assert_allclose(back(opened), [[[1, 2, 3], [4, 5, np.nan]], [[7, 8, np.nan], [9, 10, np.nan]]], atol=1e-5)
    assert (opened.samples.y.tolist(), opened.classes) == ([0, 1], ("a", "b"))
    assert opened.skipped == []


def test_bad_lines_are_named(wanted, tmp_path):
    lines = "1,2:3,4:a\n1,2:a\n1,2:3,x:a\n1,2:3,4:c\n5,6:7,8:b\n"
    opened = ts(tmp_path / "it.ts", HEAD + lines).open(wanted)
    assert list(opened.samples.names) == ["0", "4"]
    assert [(item.name, item.reason) for item in opened.skipped] == [
        ("it.ts, line 10", "1 channels, expected 2"),
        ("it.ts, line 11", "no number: 'x'"),
        ("it.ts, line 12", "the label 'c' is none of the classes b, a"),
    ]


def test_times_are_left_out(wanted, tmp_path):
    head = HEAD.replace("@timeStamps false", "@timeStamps True")
    text = head + "(2007-01-01 00:00:00,1),(2007-01-01 00:01:00,2):(2007-01-01 00:00:00,3),(2007-01-01 00:01:00,4):a\n"
    np.testing.assert_allclose(back(ts(tmp_path / "it.ts", text).open(wanted)), [[[1, 2], [3, 4]]], atol=1e-5)


def test_targets_are_no_classes(wanted, tmp_path):
    opened = ts(tmp_path / "it.ts", "@targetlabel true\n@data\n1,2,3:0.5\n4,5,6:0.7\n").open(wanted)
    assert back(opened).shape == (2, 1, 3)
    assert opened.classes == ()
    assert opened.skipped[0].reason == "its targets are numbers, not classes: left out"


@pytest.mark.parametrize("text", ["", "@data\n", "1,2,3\n"])
def test_no_series(wanted, tmp_path, text):
    with pytest.raises(UserError, match="it has no series after a line @data"):
        ts(tmp_path / "it.ts", text).open(wanted)
    with pytest.raises(UserError, match="cannot read .*no such file"):
        TsFile("x", tmp_path / "none.ts").open(wanted)


def test_sets_by_name(wanted, tmp_path, monkeypatch):
    monkeypatch.setenv("IPSE_DATA", str(tmp_path))
    for place in ("aeon-sets/One", "Two"):
        name = place.split("/")[-1]
        for part in ("_TRAIN", "_TEST", "_eq_TRAIN"):
            ts(tmp_path / place / f"{name}{part}.ts", HEAD + "1,2:3,4:a\n")
        train, test = aeon_set(name.lower())
        assert (train.path.name, test.path.name, test.prefix) == (f"{name}_TRAIN.ts", f"{name}_TEST.ts", "test/")
        opened = train.open(wanted)
        assert test.open(replace(wanted, like=opened)).samples.form == opened.samples.form
    assert aeon_names() == ["One", "Two"]
    assert aeon_set("Three") is None
    assert aeon_set("../Two") is None
    assert ts_folder("x", tmp_path) is None


def test_sets_that_aeon_fetches(tmp_path, monkeypatch):
    def load(name, extract_path):
        if name == "Gone":
            raise ValueError("no such file")
        for part in ("TRAIN", "TEST"):
            ts(Path(extract_path) / name / f"{name}_{part}.ts", HEAD + "1,2:3,4:a\n")

    names = types.ModuleType("aeon.datasets.tsc_datasets")
    names.univariate, names.multivariate = ["ECG200", "Gone"], []
    datasets = types.ModuleType("aeon.datasets")
    datasets.load_classification = load
    aeon = types.ModuleType("aeon")
    aeon.__spec__ = types.SimpleNamespace(origin=None)
    for name, module in (("aeon", aeon), ("aeon.datasets", datasets), ("aeon.datasets.tsc_datasets", names)):
        monkeypatch.setitem(sys.modules, name, module)
    train, test = aeon_set("ecg200", tmp_path)
    assert train.path == tmp_path / "data" / "aeon-sets" / "ECG200" / "ECG200_TRAIN.ts"
    assert test.path.is_file()
    assert aeon_set("unknown", tmp_path) is None
    with pytest.raises(UserError, match="cannot download Gone .no such file.: put Gone_TRAIN.ts and Gone_TEST.ts in"):
        aeon_set("gone", tmp_path)


@pytest.mark.parametrize(
    ("name", "train", "test", "channels", "length", "classes"),
    [("BasicMotions", 40, 40, 6, 100, 4), ("JapaneseVowels", 270, 370, 12, 26, 9), ("ItalyPowerDemand", 67, 1029, 1, 24, 2)],
)
def test_real_sets(wanted, monkeypatch, name, train, test, channels, length, classes):
    if not (HOME / name).is_dir():
        pytest.skip(f"there is no {name}")
    monkeypatch.setenv("IPSE_DATA", str(HOME.parent))
    sources = aeon_set(name)
    opened = sources[0].open(wanted)
    other = sources[1].open(replace(wanted, like=opened))
    assert len(opened.samples) == train
    assert len(set(other.samples.group.tolist() if other.samples.group is not None else range(test))) == test
    form = opened.samples.form
    assert (form["channels"], form["length"], len(opened.classes)) == (channels, length, classes)
    x = opened.samples.read(range(train))["x"].numpy()
    np.testing.assert_allclose(np.nanmean(x, (0, 2)), 0, atol=1e-3)
    np.testing.assert_allclose(np.nanstd(x, (0, 2)), 1, atol=1e-3)
