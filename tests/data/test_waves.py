"""Windows of recordings, and batches of them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from ipse.data import holdout
from ipse.data.strings import Strings
from ipse.data.waves import Waves, usual_window, windows


def make(lengths, window=None, x=None, y=None):
    """Recordings whose numbers count up, one after the other."""
    length = np.array(lengths)
    start = np.cumsum(length) - length
    x = np.arange(length.sum(), dtype=np.int16) if x is None else x
    names = Strings.of(f"{i}.wav" for i in range(len(length)))
    return Waves(x, start, length, np.arange(len(length)) if y is None else y, names, window=window)


def slowly(length, window):
    """Windows one by one."""
    for file, count in enumerate(length):
        if count <= 1.25 * window:
            yield 0, file, count
            continue
        for place in range(0, count, window):
            if count - place >= window / 4:
                yield place, file, min(window, count - place)


def test_windows_are_those_found_one_by_one():
    length = np.random.default_rng(0).integers(1, 500, 300)
    for window in (4, 7, 60, 400):
        assert list(zip(*(of.tolist() for of in windows(length, window)), strict=True)) == list(slowly(length.tolist(), window))


@pytest.mark.parametrize(
    ("seconds", "window"), [([0.2], 0.5), ([0.51], 0.6), ([1.0], 1.0), ([3600], 4.0), ([1.0] * 99 + [9.0], 1.0), ([1.3, 1.31], 1.4)]
)  # fmt: skip
def test_the_usual_window(seconds, window):
    assert usual_window((np.array(seconds) * 16000).astype(np.int64)) == window * 16000


def test_a_batch():
    waves = make([6, 10, 11, 3], window=8)
    raw = waves.read([3, 1, 2])
    assert raw["x"].dtype == torch.int16
    assert raw["length"].tolist() == [3, 8, 8]
    assert raw["x"].tolist() == [[24, 25, 26, 0, 0, 0, 0, 0], list(range(7, 15)), list(range(16, 24))]  # the middle of 10
    assert waves.length.tolist() == [6, 10, 8, 3, 3]
    assert waves.read([]) ["x"].shape == (0, 8)  # fmt: skip
    assert dict(waves.form) == {"modality": "audio", "rate": 16000, "samples": 8}


def test_windows_have_the_label_and_the_group_of_their_recording():
    waves = make([16000, 56000], window=16000, y=np.array([5, 7]))
    assert list(waves.names) == ["0.wav", "1.wav#0s", "1.wav#1s", "1.wav#2s", "1.wav#3s"]
    assert waves.y.tolist() == [5, 7, 7, 7, 7]
    assert waves.group.tolist() == [0, 1, 1, 1, 1]
    assert list(make([30000, 100], window=8000).names) == ["0.wav#0s", "0.wav#0.5s", "0.wav#1s", "0.wav#1.5s", "1.wav"]
    assert list(waves.names[1:3]) == ["1.wav#0s", "1.wav#1s"]
    assert waves.names[-1] == "1.wav#3s"


def test_a_subset_of_a_subset():
    waves = make([10, 40, 7], window=10)
    part = waves.subset(np.arange(6) > 0).subset([4, 0])
    assert list(part.names) == ["2.wav", "1.wav#0s"]
    assert (part.y.tolist(), part.group.tolist(), part.length.tolist()) == ([2, 1], [2, 1], [7, 10])
    assert part.read([1])["x"].tolist() == [list(range(10, 20))]


def test_windows_of_one_recording_are_set_aside_together():
    waves = make([100] * 10, window=10, y=np.zeros(10, np.int64))
    train, test = holdout(waves)
    assert not set(waves.group[train]) & set(waves.group[test])
    assert len(test) == 20


def test_what_is_in_memory_is_pickled():
    waves = make([100, 7], window=10)
    again = pickle.loads(pickle.dumps(waves))
    assert (again.read([3, 10])["x"] == waves.read([3, 10])["x"]).all()
    assert list(again.names) == list(waves.names)
