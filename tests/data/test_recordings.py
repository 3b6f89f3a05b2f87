"""Folders of recordings, and arrays of waves."""

from __future__ import annotations

import builtins
import pickle
import shutil
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from ipse.data import form, recordings
from ipse.data.arrays import Arrays
from ipse.data.labels import check_names, look_up
from ipse.data.recordings import Recordings, WaveArrays
from ipse.data.wanted import NothingLeftError, Wanted
from ipse.errors import UserError

soundfile = pytest.importorskip("soundfile")


def noise(seconds, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * 16000))


@pytest.fixture
def folder(tmp_path):
    """Writes recordings of so many seconds."""

    def make(under="sounds", **files):
        for seed, (name, seconds) in enumerate(files.items()):
            path = tmp_path / under / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, noise(seconds, seed), 16000)
        return tmp_path / under

    return make


@pytest.fixture
def wanted(cache):
    return Wanted(None, cache, lambda what, done, total: None)


def source(root, **options):
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    return Recordings("sounds", root, names, **options)


def reasons(opened):
    return {item.name: item.reason for item in opened.skipped}


def test_a_folder(folder, wanted):
    opened = source(folder(dog__b_wav=1, cat__a_flac=0.5, cat__c_ogg=0.8)).open(wanted)
    samples = opened.samples
    assert list(samples.names) == ["cat/a.flac", "cat/c.ogg", "dog/b.wav"]
    assert opened.classes == ("cat", "dog")
    assert samples.y.tolist() == [0, 0, 1]
    assert samples.group.tolist() == [0, 1, 2]
    assert dict(samples.form) == {"modality": "audio", "rate": 16000, "samples": 16000}
    raw = samples.read([2, 0])
    assert raw["length"].tolist() == [16000, 8000]
    assert abs(raw["x"][0].numpy() / 32768 - noise(1, 0)).max() <= 1 / 32768
    assert opened.skipped == []


def test_long_recordings_are_cut_into_windows_and_another_window_decodes_nothing(folder, wanted, monkeypatch):
    recorded = source(folder(a_wav=0.5, b_wav=5.25))
    whole = recorded.open(wanted)
    assert whole.samples.form["samples"] == 64000
    calls = []
    monkeypatch.setattr(recordings, "decode", lambda *_, **__: calls.append(1))
    again = recorded.open(replace(wanted, size=1.0))
    assert list(again.samples.names) == ["a.wav", *(f"b.wav#{i}s" for i in range(6))]
    assert again.key == whole.key
    assert again.samples.length.tolist() == [8000, *[16000] * 5, 4000]
    assert recorded.open(replace(wanted, form=form.audio(4000))).samples.form["samples"] == 4000
    assert not calls


def test_the_test_part_has_the_windows_of_the_training_part(folder, wanted):
    train = source(folder("train", a_wav=0.7)).open(wanted)
    test = source(folder("test", b_wav=3), part="test", prefix="test/").open(replace(wanted, like=train))
    assert test.samples.form == train.samples.form
    assert test.samples.names[1] == "test/b.wav#0.7s"
    pictures = Arrays("pictures", np.zeros((2, 8, 8), np.uint8)).open(wanted)
    with pytest.raises(UserError, match="the training part is image, but the test part is audio"):
        source(folder("test")).open(replace(wanted, like=pictures))


def test_windows_that_are_too_short(folder, wanted):
    with pytest.raises(UserError, match=r"windows of 0.001 s are too short: expected at least 0.02 s"):
        source(folder(a_wav=1)).open(replace(wanted, size=0.001))


def test_bad_recordings_are_named_and_survived(folder, wanted):
    root = folder(good_wav=1, cut_wav=2, short_wav=0.01)
    soundfile.write(root / "zeros.wav", np.zeros(16000), 16000)
    (root / "cut.wav").write_bytes((root / "cut.wav").read_bytes()[:32044])
    (root / "text.mp3").write_text("hello")
    (root / "empty.ogg").touch()
    (root / "gone.wav").symlink_to(root / "nothing")
    opened = Recordings("sounds", root, sorted(p.name for p in root.iterdir())).open(wanted)
    assert list(opened.samples.names) == ["cut.wav", "good.wav"]
    assert opened.samples.length.tolist() == [16000, 16000]
    expected = {
        "cut.wav": "truncated: 1.00 of 2.00 s kept",
        "empty.ogg": "the file is empty",
        "gone.wav": "no such file or directory",
        "short.wav": "shorter than 20 ms",
        "text.mp3": "not a recording of a known format",
        "zeros.wav": "silent",
    }
    assert reasons(opened) == expected
    again = Recordings("sounds", root, sorted(p.name for p in root.iterdir())).open(wanted)
    assert reasons(again) == expected  # from the store


def test_nothing_left(folder, wanted, cache):
    root = folder(a_wav=0.01)
    with pytest.raises(
        NothingLeftError, match="none of the 1 recordings in sounds can be read; the first, a.wav: shorter"
    ) as error:
        source(root).open(wanted)
    assert [item.name for item in error.value.skipped] == ["a.wav"]
    assert not list((cache / "stores").iterdir())


def test_without_the_package(folder, wanted, monkeypatch):
    root, usual = folder(a_wav=1), builtins.__import__

    def without(name, *rest):
        if name == "soundfile":
            raise ImportError(name)
        return usual(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"reading recordings needs an extra: pip install 'ipse\[audio\]'"):
        source(root).open(wanted)


def test_the_second_time_nothing_is_decoded_wherever_it_is(folder, wanted, tmp_path, monkeypatch):
    root = folder(a__1_wav=1, b__2_wav=3)
    done = []
    first = source(root).open(replace(wanted, progress=lambda *at: done.append(at)))
    assert done[-2:] == [("decoding", 1, 2), ("decoding", 2, 2)]
    monkeypatch.setattr(recordings, "decode", None)
    again = source(shutil.copytree(root, tmp_path / "elsewhere")).open(wanted)
    assert again.key == first.key
    assert (again.samples.read([0, 1])["x"] == first.samples.read([0, 1])["x"]).all()
    (root / "a/1.wav").rename(root / "a/3.wav")
    monkeypatch.undo()
    assert source(root).open(wanted).key != first.key


def test_many_at_once_build_one_store(folder, wanted, cache):
    recorded = source(folder(a_wav=1, b_wav=2))
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda _: recorded.open(wanted), range(4)))
    assert len({one.samples.read([1])["x"].numpy().tobytes() for one in opened}) == 1
    assert len(list((cache / "stores").iterdir())) == 1


def test_a_store_is_mapped_again_after_pickling(folder, wanted):
    samples = source(folder(a_wav=1, b_wav=9)).open(wanted).samples.subset([2, 0])
    packed = pickle.dumps(samples)
    again = pickle.loads(packed)
    assert (again.read([0, 1])["x"] == samples.read([0, 1])["x"]).all()
    assert list(again.names) == ["b.wav#4s", "a.wav"]
    assert again._all.mapped
    assert len(packed) < 4000


def test_a_long_recording_is_never_whole_in_memory(folder, tmp_path, wanted):
    source(folder(a_wav=0.1)).open(wanted)  # imports take memory, too
    (tmp_path / "long").mkdir()
    with soundfile.SoundFile(tmp_path / "long" / "ten minutes.wav", "w", 8000, 1, "PCM_16") as file:
        for minute in range(10):
            file.write(noise(30, minute))
    tracemalloc.start()
    try:
        samples = source(tmp_path / "long").open(wanted).samples
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert samples.length.sum() == 600 * 16000
    assert peak < 12 << 20 < 600 * 16000 * 2


def test_labels_by_the_name_of_the_file(folder, wanted, tmp_path):
    names = source(folder(a_wav=1, b_wav=3)).open(replace(wanted, size=1)).samples.names
    labels = {"a.wav": "dog", "b.wav": "cat", "b.wav#2s": "dog"}
    check_names(tmp_path, labels, names)
    assert look_up(labels, names, 4, ("cat", "dog")).tolist() == [1, 0, 0, 1]
    with pytest.raises(UserError, match="names 1 unknown samples, such as 'c.wav'"):
        check_names(tmp_path, {"c.wav": "cat"}, names)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_arrays_of_floats(wanted, kind):
    x = np.stack([noise(1, seed) for seed in range(3)]).astype(kind)
    opened = WaveArrays("the array", x, ["dog", "cat", ""]).open(wanted)
    assert opened.classes == ("cat", "dog")
    assert opened.samples.y.tolist() == [1, 0, -1]
    assert list(opened.samples.names) == ["0", "1", "2"]
    assert opened.samples.form["samples"] == 16000
    assert abs(opened.samples.read([2, 1])["x"].numpy() / 32768 - x[[2, 1]]).max() <= 1 / 32768
    assert WaveArrays("the array", x[:, None], ["dog", "cat", ""], prefix="test/").open(wanted).samples.names[1] == "test/1"


def test_arrays_of_other_numbers(wanted):
    short = (noise(1).reshape(1, -1) * 32768).astype(np.int16)
    assert (WaveArrays("the array", short).open(wanted).samples.read([0])["x"].numpy() == short).all()
    loud = WaveArrays("the array", noise(1).reshape(1, -1) * 1000).open(wanted)
    assert loud.samples.read([0])["x"].int().abs().max() >= 32767
    quieter = WaveArrays("the array", noise(1).reshape(1, -1) * 500).open(replace(wanted, like=loud))
    assert (abs(2 * quieter.samples.read([0])["x"] - loud.samples.read([0])["x"]) <= 2).all()  # on the same scale


def test_arrays_with_padding_and_bad_rows(wanted):
    x = np.stack([noise(1, seed) for seed in range(7)])
    x[1, 12000:] = np.nan
    x[2, 100] = np.nan
    x[3, -1] = np.inf
    x[4] = 0
    x[5] = np.nan
    opened = WaveArrays("the array", x, np.arange(7)).open(wanted)
    assert list(opened.samples.names) == ["0", "1", "6"]
    assert opened.samples.length.tolist() == [16000, 12000, 16000]
    assert [opened.classes[y] for y in opened.samples.y] == ["0", "1", "6"]
    assert reasons(opened) == {
        "2": "contains NaN or infinite values",
        "3": "contains NaN or infinite values",
        "4": "silent",
        "5": "shorter than 20 ms",
    }
    with pytest.raises(NothingLeftError, match="none of the 2 waves in the array can be used; the first, 0: silent"):
        WaveArrays("the array", np.zeros((2, 16000))).open(wanted)


def test_what_is_no_array_of_waves(wanted):
    for x, message in (
        (np.zeros(7), r"expected waves \(N, T\) or \(N, 1, T\) in the array, got the shape \(7,\)"),
        (np.zeros((2, 2, 9)), "got the shape"),
        (np.zeros((0, 9)), "got the shape"),
        (np.zeros((2, 9), bool), "expected waves as int16 or floats in the array, got an array of bool"),
    ):
        with pytest.raises(UserError, match=message):
            WaveArrays("the array", x).open(wanted)
