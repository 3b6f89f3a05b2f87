"""Data by name."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest

from ipse.data import names, open_data
from ipse.errors import UserError


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder that data sets are downloaded from, with the digest that is expected."""

    def put(name, content):
        (tmp_path / name).write_bytes(content)
        return hashlib.md5(content).hexdigest()

    monkeypatch.setattr(names, "_CIFAR10", (tmp_path / "cifar.tar.gz").as_uri())
    monkeypatch.setattr(names, "_FASHION", tmp_path.as_uri() + "/")
    return put


def test_digits():
    data = open_data("digits")
    assert data.train.x.shape == (1797, 1, 8, 8)
    assert data.form["size"] == 8
    assert data.test is None
    assert data.classes == tuple("0123456789")
    assert data.train.y[:3].tolist() == [0, 1, 2]
    assert data.train.x[0, 0, 0].tolist() == [0, 0, 80, 207, 143, 16, 0, 0]  # 0 0 5 13 9 1 0 0 of 16
    assert data.train.x.max() == 255


def test_mnist5k():
    data = open_data("mnist5k")
    assert data.train.x.shape == (5000, 1, 28, 28)
    assert data.form["size"] == 28
    assert data.test is None
    assert np.bincount(data.train.y).tolist() == [500] * 10
    assert (data.train.x.min(), data.train.x.max()) == (0, 255)


@pytest.mark.parametrize("variable", ["IPSE_DATA", "IPSE_CACHE"])
def test_found_on_disk(variable):
    folder = Path(os.environ[variable]) / ("" if variable == "IPSE_DATA" else "data") / "cifar10"
    folder.mkdir(parents=True)
    x = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    classes = np.array(["plane", "car"])
    np.savez(folder / "train.npz", x=x[:4], y=np.array([0, 1, 1, 0]), classes=classes)
    np.savez(folder / "test.npz", x=x[4:], y=np.array([1, 0]), classes=classes)
    data = open_data("cifar10")
    assert data.classes == ("plane", "car")
    assert data.train.y.tolist() == [0, 1, 1, 0]
    assert data.test.y.tolist() == [1, 0]
    assert (data.train.x == x[:4].transpose(0, 3, 1, 2)).all()
    assert data.name == "cifar10"
    assert data.form["size"] == 32


def test_other_names_on_disk(monkeypatch):
    folder = Path(os.environ["IPSE_DATA"]) / "mine"
    folder.mkdir()
    np.savez(folder / "train.npz", x=np.zeros((4, 9, 9), np.uint8))
    assert open_data("mine").train.x.shape == (4, 1, 9, 9)


def test_cifar10_is_downloaded(home, monkeypatch, cache):
    rows = np.random.default_rng(0).integers(0, 10, (6, 3073), dtype=np.uint8)
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for i, name in enumerate(["data_batch_2", "data_batch_1", "test_batch"]):
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            content = rows[2 * i : 2 * i + 2].tobytes()
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    monkeypatch.setattr(names, "_CIFAR10_MD5", home("cifar.tar.gz", file.getvalue()))
    seen = []
    data = open_data("cifar10", progress=lambda *step: seen.append(step))
    assert data.train.y.tolist() == rows[[2, 3, 0, 1], 0].tolist()
    assert data.test.y.tolist() == rows[4:, 0].tolist()
    assert (data.train.x[0].ravel() == rows[2, 1:]).all()
    assert data.classes[0] == "airplane"
    assert len(data.classes) == 10
    assert seen[-3][0] == "downloading cifar.tar.gz"
    assert seen[-3][1] == len(file.getvalue())
    assert {path.name for path in (cache / "data" / "cifar10").iterdir()} == {"train.npz", "test.npz"}
    monkeypatch.setattr(names, "_CIFAR10", "file:///nowhere")
    assert open_data("cifar10").key == data.key


def test_fashion_mnist_is_downloaded(home, monkeypatch):
    x = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    pictures = gzip.compress(struct.pack(">IIII", 2051, 3, 28, 28) + x.tobytes())
    labels = gzip.compress(struct.pack(">II", 2049, 3) + bytes([9, 0, 3]))
    files = {part: ("x.gz", home("x.gz", pictures), "y.gz", home("y.gz", labels)) for part in ("train", "test")}
    monkeypatch.setattr(names, "_FASHION_FILES", files)
    data = open_data("fashion-mnist")
    assert (data.train.x[:, 0] == x).all()
    assert data.test.y.tolist() == [9, 0, 3]
    assert data.classes[9] == "ankle boot"


def test_a_download_that_is_something_else(home, cache):
    home("cifar.tar.gz", b"<html>")
    with pytest.raises(UserError, match=r"is not what it should be .*put train.npz and test.npz in .*cifar10"):
        open_data("cifar10")
    assert list((cache / "data").iterdir()) == []


def test_no_network(monkeypatch):
    monkeypatch.setattr(names, "_CIFAR10", "http://127.0.0.1:9/cifar.tar.gz")
    with pytest.raises(
        UserError,
        match=r"cannot download cifar10 .*refused.*: put train.npz and test.npz, with x, y and classes, in .*cifar10 or",
    ):
        open_data("cifar10")


def test_unknown_names(tmp_path, monkeypatch, photos):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UserError, match=r"unknown data 'cifr10': did you mean 'cifar10'\? \(nor is there a folder or file 'cifr10'\)"
    ):
        open_data("cifr10")
    for path in ("no/such/folder", "none.npz", Path("none"), "~no-such-user/x"):
        with pytest.raises(UserError, match="there is no folder or file"):
            open_data(path)
    with pytest.raises(UserError, match="DATA is empty: expected a folder"):
        open_data("")
    photos("a.png", under="digits")
    assert len(open_data("digits").train) == 1797
    assert len(open_data("./digits").train) == len(open_data(Path("digits")).train) == 1


def test_files_that_are_no_data(tmp_path, photos):
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(UserError, match=r"cannot read .*a.txt: expected a folder of pictures"):
        open_data(tmp_path / "a.txt")
    with pytest.raises(UserError, match=r"a.png is one picture: give the folder"):
        open_data(photos("a.png") / "a.png")
    with pytest.raises(UserError, match="must be more than 0, got 0"):
        open_data("digits", size=0)
