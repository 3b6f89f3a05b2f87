"""The store is built once, whole, by content."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ipse.data import arrays, given, open_data, pictures, store
from ipse.data.store import open_store
from ipse.errors import UserError


@pytest.fixture
def no_decoding(monkeypatch):
    def refuse():
        def decode(*_):
            raise AssertionError("decoded again")

        monkeypatch.setattr(pictures, "decode", decode)
        monkeypatch.setattr(pictures, "probe", decode)

    return refuse


def stores(cache):
    return sorted((cache / "stores").iterdir())


def test_the_second_time_nothing_is_decoded(photos, no_decoding):
    root = photos("a/1.png", "b/2.png")
    first = open_data(root)
    no_decoding()
    again = open_data(root)
    assert again.key == first.key
    assert (again.train.x == first.train.x).all()
    assert again.train.y.tolist() == [0, 1]
    assert again.classes == ("a", "b")
    assert again.form["size"] == first.form["size"]
    assert open_data(root, size=first.form["size"]).key == first.key  # the size that was decided on is the same store


def test_the_key_is_the_content_wherever_it_is(photos, tmp_path, no_decoding):
    root = photos("train/a/1.png", "train/b/2.png", "test/a/3.png")
    key = open_data(root).key
    copy = shutil.copytree(root, tmp_path / "else" / "where")
    no_decoding()
    assert open_data(copy).key == key


def test_the_key_changes_with_content_names_and_labels(photos, tmp_path):
    root = photos("a/1.png", "b/2.png")
    keys = {open_data(root).key}
    (root / "a/1.png").rename(root / "a/3.png")
    keys.add(open_data(root).key)
    (root / "b").rename(root / "c")
    keys.add(open_data(root).key)
    shutil.copy(root / "c/2.png", root / "a/3.png")
    keys.add(open_data(root).key)
    assert len(keys) == 4


def test_another_size_is_another_store_of_the_same_content(photos, cache):
    root = photos("a.png", width=100, height=100)
    assert open_data(root, size=16).key == open_data(root).key
    assert open_data(root).form["size"] == 64
    assert len(stores(cache)) == 2


def test_a_damaged_store_is_built_again(photos, cache):
    root = photos("a.png", "b.png")
    x = open_data(root).train.x.copy()
    (folder,) = stores(cache)
    for damage in (
        lambda: os.truncate(folder / "x.npy", 200),
        lambda: (folder / "y.npy").unlink(),
        lambda: (folder / "index.json").write_text("{"),
        lambda: (folder / "index.json").write_text('{"version": 0}'),
        lambda: (folder / "x.npy").write_bytes(bytes((folder / "x.npy").stat().st_size)),
        lambda: (folder / "index.json").unlink(),
    ):
        damage()
        assert open_store(folder, "key") is None
        assert (open_data(root).train.x == x).all()
        assert stores(cache) == [folder]


def test_a_full_disk(photos, cache, monkeypatch):
    def full(self, rows):
        raise OSError(errno.ENOSPC, "No space left on device")

    root = photos("a.png")
    monkeypatch.setattr(store._Growing, "append", full)
    with pytest.raises(UserError, match=r"no space left on the disk of .*stores: .*set IPSE_CACHE"):
        open_data(root)
    assert stores(cache) == []
    monkeypatch.undo()
    monkeypatch.setenv("IPSE_CACHE", str(cache))
    assert len(open_data(root).train) == 1


def test_a_cache_that_cannot_be_written(photos, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write to .*file.*set IPSE_CACHE"):
        open_data(photos("a.png"), cache=tmp_path / "file")


def test_interrupted_nothing_is_left(photos, cache, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(store.Writer, "finish", interrupted)
    with pytest.raises(KeyboardInterrupt):
        open_data(photos("a.png"))
    assert stores(cache) == []


def test_killed_halfway(photos, cache):
    root = photos("a.png", "b.png")
    fork = multiprocessing.get_context("fork")
    writing = fork.Event()

    def build():
        store.Writer.finish = lambda *_: (writing.set(), time.sleep(60))
        open_data(root)

    building = fork.Process(target=build)
    building.start()
    assert writing.wait(60)
    (left,) = stores(cache)
    long_ago = time.time() - 3600
    os.utime(left, (long_ago, long_ago))

    assert len(open_data(root).train) == 2
    assert left in stores(cache)  # it is old, but its process lives and holds it

    building.kill()
    building.join()
    assert len(open_data(root, size=16).train) == 2
    assert left not in stores(cache)
    assert all(open_store(folder, "key") for folder in stores(cache))


def test_several_at_once_make_one_store(photos, cache):
    root = photos("a.png", "b.png", "c.png")
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda _: open_data(root), range(4)))
    assert all((data.train.x == opened[0].train.x).all() for data in opened)
    assert len(stores(cache)) == 1


def test_memory_stays_flat_while_building(tmp_path, monkeypatch, resident):
    monkeypatch.setattr(arrays, "_LARGE", 1 << 20)
    monkeypatch.setattr(given, "_CHUNK", 1 << 20)
    path = tmp_path / "x.npy"
    big = np.lib.format.open_memmap(path, "w+", np.float16, (8_000, 64, 64))
    big[1:] = 3
    del big
    sizes = [resident()]
    data = open_data(path, progress=lambda *_: sizes.append(resident()))
    assert data.train.x.shape == (8_000, 1, 64, 64)
    assert data.train._all.folder is not None
    assert set(data.train.x[0].ravel()) == {0}
    assert set(data.train.x[-1].ravel()) == {255}
    assert len(sizes) > 50
    assert max(sizes) - sizes[0] < 24 << 20 < path.stat().st_size // 2


def test_progress_is_told(photos):
    seen = []
    open_data(photos("a.png", "b.png"), progress=lambda *step: seen.append(step))
    assert seen == [("reading", 2, 2), ("decoding", 2, 2)]
