"""Webdataset shards."""

from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest

from ipse.data import open_data
from ipse.errors import UserError


@pytest.fixture
def shard(tmp_path):
    """Writes a tar file with the given members."""

    def write(name, members):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w") as tar:
            for member, content in members.items():
                info = tarfile.TarInfo(member)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        return path

    return write


def test_pictures_and_labels(shard, picture, encoded):
    one, two, three = (encoded(picture(i)) for i in range(3))
    path = shard(
        "a.tar",
        {
            "x/001.png": one,
            "x/001.cls": b"10\n",
            "x/001.txt": b"a caption",
            "x/002.json": b'{"label": 9}',
            "x/002.png": two,
            "x/003.png": three,
            "x/004.cls": b"9",
            "x/005.jpg": b"text",
            "x/._005.jpg": b"text",
        },
    )
    data = open_data(path)
    assert data.classes == ("9", "10")
    assert data.train.y.tolist() == [1, 0, -1]
    assert list(data.train.names) == ["x/001", "x/002", "x/003"]
    assert data.name == "a"
    assert (data.train.x[1] == np.asarray(picture(1)).transpose(2, 0, 1)).all()
    assert [(s.name, s.reason) for s in data.skipped] == [("x/005", "not a picture of a known format")]
    assert open_data(path.parent).train.y.tolist() == [1, 0, -1]


def test_shards_and_splits(shard, picture, encoded):
    for name in ("train-000", "train-001", "val-000"):
        path = shard(f"set/{name}.tar", {f"{i}.png": encoded(picture(i)) for i in range(3)})
    data = open_data(path.parent)
    assert (len(data.train), len(data.test)) == (6, 3)
    assert data.test.names[0] == "val/0"


def test_broken_shards(shard, picture, encoded):
    path = shard("set/a.tar", {f"{i}.png": encoded(picture(i)) for i in range(3)})
    path.write_bytes(path.read_bytes()[:2000])
    (path.parent / "b.tar").write_text("text")
    data = open_data(path.parent)
    assert 1 <= len(data.train) <= 2
    assert {s.name for s in data.skipped} >= {"b.tar", "a.tar"}
    with pytest.raises(UserError, match=r"none of the 1 pictures in b can be read; the first, b.tar: the tar file is broken"):
        open_data(path.parent / "b.tar")


def test_json_that_is_none(shard, picture, encoded):
    path = shard("a.tar", {"0.png": encoded(picture()), "0.json": b"[1", "1.png": encoded(picture(1)), "1.json": b"[1]"})
    assert open_data(path).train.y.tolist() == [-1, -1]


def test_mixed_shards(shard, tmp_path):
    shard("a.tar", {})
    (tmp_path / "b.parquet").touch()
    with pytest.raises(UserError, match=r"expected files of one kind, .csv, .parquet or .tar, in .*, got .parquet and .tar"):
        open_data(tmp_path)
    with pytest.raises(UserError, match=r"there is no file .*c.tar"):
        open_data([tmp_path / "c.tar"])
