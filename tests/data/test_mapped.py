"""Arrays that are mapped from files: what was read is let go, and nothing is sent with them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from ipse.data import Images, form, mapped
from ipse.data.mapped import Mapped
from ipse.data.rows import Rows
from ipse.data.series import Series
from ipse.data.strings import Strings
from ipse.data.waves import Waves


@pytest.fixture
def file(tmp_path):
    """Writes an array of sevens and maps it."""

    def make(kind, shape):
        big = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", kind, shape)
        big[:] = 7
        del big
        return np.load(tmp_path / "x.npy", mmap_mode="r")

    return make


def pictures(file):
    return Images(file(np.uint8, (16_000, 1, 64, 64)))


def waves(file):
    x = file(np.int16, (32_000_000,))
    return Waves(x, np.zeros(1, np.int64), np.array([len(x)]), np.zeros(1, np.int64), Strings.of(["a"]), window=2000)


def series(file):
    first = np.arange(0, 1_000_000, 64)
    return Series(file(np.float32, (1_000_000, 16)), first, np.full(len(first), 64), form.series(16, 64))


def rows(file):
    return Rows(file(np.float32, (16_000, 1024)), {})


@pytest.mark.parametrize("kind", [pictures, waves, series, rows])
def test_memory_stays_flat_while_reading(kind, file, monkeypatch, resident):
    monkeypatch.setattr(mapped, "_KEPT", 1 << 22)
    samples = kind(file)
    before, most = resident(), 0
    for start in range(0, len(samples), 250):
        assert samples.read(np.arange(start, min(start + 250, len(samples))))["x"].min() == 7
        most = max(most, resident() - before)
    assert most < 16 << 20 < samples._all.array.nbytes // 2


@pytest.mark.parametrize("kind", [pictures, waves, series, rows])
def test_a_large_page_is_counted_for_every_place(kind, file, monkeypatch):
    samples, let_go = kind(file), []
    monkeypatch.setattr(mapped, "_KEPT", 10 << 21)
    monkeypatch.setattr(mapped, "release", let_go.append)
    for place in range(40):
        samples.subset([place]).read([0])
    assert len(let_go) == 4  # after 10 places with 2 MB around, and what is read there
    del let_go[:]
    samples.read(np.arange(20))
    assert len(let_go) == 1
    monkeypatch.setattr(mapped, "_KEPT", 1 << 28)  # more than the file
    for _ in range(20):
        samples.read(np.arange(20))
    assert len(let_go) == 1


def test_what_is_in_memory_is_never_let_go(monkeypatch):
    monkeypatch.setattr(mapped, "_KEPT", 0)
    monkeypatch.setattr(mapped, "release", None)
    Mapped(np.zeros(10)).touched(10, 80)


def test_only_what_is_in_a_store_is_mapped_again(file, tmp_path):
    x = file(np.float32, (1000, 100))
    for array, folder in ((x, tmp_path), (x, None), (np.array(x), tmp_path)):
        packed = pickle.dumps(Mapped(array, folder))
        again = pickle.loads(packed)
        assert (again.array == 7).all()
        assert again.mapped == (len(packed) < 500) == (array is x and folder is not None)
        assert again.folder == (folder if again.mapped else None)


def test_what_was_changed_in_memory_alone_is_kept(file, tmp_path):
    file(np.float32, (1000, 100))
    changed = np.load(tmp_path / "x.npy", mmap_mode="c")
    changed[5] = 3
    mapped.release(changed)
    mapped.release(changed * 2)  # a memmap by its type, and in memory
    assert not Mapped(changed * 2).mapped
    assert (changed[5] == 3).all()
