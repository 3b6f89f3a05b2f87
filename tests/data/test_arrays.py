"""Arrays in memory and in files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ipse.data import arrays, given, npz, open_data
from ipse.data.arrays import as_pictures
from ipse.errors import UserError


@pytest.fixture
def x():
    return np.random.default_rng(0).integers(0, 256, (20, 9, 8), dtype=np.uint8)


@pytest.mark.parametrize(
    ("shape", "pictures"),
    [
        ((5, 28, 28), (1, 28, 28)),
        ((5, 32, 32, 3), (3, 32, 32)),
        ((5, 3, 32, 32), (3, 32, 32)),
        ((5, 28, 28, 1), (1, 28, 28)),
        ((5, 1, 28, 28), (1, 28, 28)),
        ((5, 3, 4, 4), (3, 4, 4)),
        ((5, 4, 4, 3), (3, 4, 4)),
        ((5, 12, 64, 64), (12, 64, 64)),
        ((5, 64, 64, 12), (12, 64, 64)),
        ((5, 784), (1, 28, 28)),
        ((5, 16), (1, 4, 4)),
        ((5, 9), (1, 1, 9)),
        ((5, 30), (1, 1, 30)),
    ],
)
def test_layouts(shape, pictures):
    assert as_pictures(np.zeros(shape)).shape == (5, *pictures)


def test_bytes_are_used_where_they_are(x):
    for data in (x, torch.from_numpy(x)):
        train = open_data(data).train
        assert np.shares_memory(train.x, x)
        assert train.x.shape == (20, 1, 9, 8)
        assert train.aspect[0] == pytest.approx(8 / 9)


def test_colour_planes_come_first(x):
    last = np.stack([x, x, x], -1)
    last[..., 1] = 1
    data = open_data(last)
    assert data.train.channels == 3
    assert np.shares_memory(data.train.x, last)
    assert (data.train.gather([4, 2])[:, 0].numpy() == x[[4, 2]]).all()
    assert (data.train.gather([4, 2])[:, 1] == 1).all()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([0.0, 0.5, 1.0, 0.25]), [0, 128, 255, 64]),
        (np.array([-1.0, 0.0, 1.0, -0.5], np.float32), [0, 128, 255, 64]),
        (np.array([0.0, 16.0, 4.0, 8.0], np.float16), [0, 255, 64, 128]),
        (np.array([100, 200, 150, 125], np.int64), [0, 255, 128, 64]),
        (np.array([0, 65535, 32768, 16384], np.uint16), [0, 255, 128, 64]),
        (np.array([True, False, True, True]), [255, 0, 255, 255]),
        (np.array([7.0, 7.0, 7.0, 7.0]), [0, 0, 0, 0]),
        (np.array([-128, 127, 0, 0], np.int8), [0, 255, 128, 128]),
    ],
)
def test_other_numbers_become_bytes(values, expected):
    assert open_data(values.reshape(4, 1, 1)).train.x.ravel().tolist() == expected
    assert open_data(torch.from_numpy(values).reshape(4, 1, 1)).train.x.ravel().tolist() == expected


def test_bfloat16():
    assert open_data(torch.tensor([0.0, 1.0]).bfloat16().reshape(2, 1, 1)).train.x.ravel().tolist() == [0, 255]


@pytest.mark.parametrize("large", [1 << 28, 10])
def test_samples_with_nan_are_skipped_and_listed(monkeypatch, large):
    monkeypatch.setattr(arrays, "_LARGE", large)  # in memory, and in a store
    monkeypatch.setattr(given, "_CHUNK", 200)
    x = np.arange(6 * 16, dtype=np.float32).reshape(6, 4, 4)
    x[1, 2, 3], x[4, 0, 0] = np.nan, -np.inf
    data = open_data((x, np.array([0, 1, 2, 0, 1, 2])))
    assert [(s.name, s.reason) for s in data.skipped] == [(n, "contains NaN or infinite values") for n in ("1", "4")]
    assert list(data.train.names) == ["0", "2", "3", "5"]
    assert data.train.y.tolist() == [0, 2, 0, 2]
    assert (data.train.x[:, 0] == np.rint(x[[0, 2, 3, 5]] * np.float32(255 / 95))).all()
    assert data.classes == ("0", "1", "2")


def test_all_nan():
    with pytest.raises(UserError, match="all 3 pictures in the array contain NaN"):
        open_data(np.full((3, 4, 4), np.nan))


def test_large_pictures_are_made_smaller():
    x = np.random.default_rng(0).integers(0, 256, (3, 200, 100, 3), dtype=np.uint8)
    data = open_data(x)
    assert data.form["size"] == 64
    assert data.train.x.shape == (3, 3, 96, 96)
    assert data.train.aspect[0] == 0.5
    exact = F.interpolate(torch.tensor(x.transpose(0, 3, 1, 2)).float(), (96, 96), mode="bilinear", antialias=True)
    assert abs(data.train.x - exact.numpy()).max() <= 1.5
    assert open_data(x, size=128).train.x.shape == (3, 3, 200, 100)
    assert open_data(x, size=20).train.x.shape == (3, 3, 32, 32)


def test_labels(x):
    assert open_data((x, np.arange(20) % 3)).train.y.tolist() == [i % 3 for i in range(20)]
    data = open_data((x, ["dog", "cat"] * 9 + ["", None]))
    assert data.classes == ("cat", "dog")
    assert data.train.y.tolist() == [1, 0] * 9 + [-1, -1]
    data = open_data((torch.from_numpy(x), torch.tensor([10, 9, -1, 10] * 5)))
    assert data.classes == ("9", "10")
    assert data.train.y[:4].tolist() == [1, 0, -1, 1]
    assert open_data((x, np.array([[1.0], [np.nan]] * 10))).train.y[:2].tolist() == [0, -1]
    with pytest.raises(UserError, match=r"expected one label per sample, 20 in all, but the labels have the shape \(19,\)"):
        open_data((x, np.zeros(19)))


def test_what_is_no_array_of_pictures(x):
    for data, message in (
        (np.zeros(7), r"got the shape \(7,\)"),
        (np.zeros((1, 2, 3, 4, 5)), "got the shape"),
        (np.zeros((0, 4, 4)), "got the shape"),
        (np.array(["a", "b"]), "expected numbers"),
        (np.zeros((3, 4, 4), complex), "expected numbers"),
        (np.array([[object()]]), "no column of the array is left"),
        ({"x": x}, "DATA cannot be a dict: expected a folder"),
        (None, "DATA cannot be a NoneType"),
        ([], "DATA cannot be a list"),
    ):
        with pytest.raises(UserError, match=message):
            open_data(data)


def test_rows_are_a_table_unless_neighbours_are_alike():
    rough = np.random.default_rng(0).normal(size=(30, 20))
    smooth = rough.cumsum(1)
    kinds = [open_data(x).form["modality"] for x in (rough, smooth)]
    assert kinds == ["table", "series"]
    assert [open_data(x, modality="table").form["modality"] for x in (rough, smooth)] == ["table", "table"]


def test_npy_is_mapped(x, tmp_path):
    np.save(tmp_path / "pictures.npy", x)
    data = open_data(str(tmp_path / "pictures.npy"))
    assert data.name == "pictures"
    assert data.train._all.mapped
    assert (data.train.gather([3])[0, 0].numpy() == x[3]).all()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(x, tmp_path, save, monkeypatch):
    y, classes = np.arange(20) % 2, np.array(["cat", "dog", "owl"])
    save(tmp_path / "a.npz", x=x, y=y, classes=classes)
    data = open_data(tmp_path / "a.npz")
    assert data.classes == ("cat", "dog", "owl")
    assert data.train.y.tolist() == y.tolist()
    assert (data.train.x[:, 0] == x).all()
    assert (data.train._all.mapped) == (save is np.savez)
    monkeypatch.setattr(npz, "_LARGE", 1000)  # too large to be unpacked into memory
    monkeypatch.setattr(arrays, "_LARGE", 10)
    monkeypatch.setattr(given, "_CHUNK", 500)
    again = open_data(tmp_path / "a.npz")
    assert (again.train.x[:, 0] == x).all()
    assert again.train._all.mapped
    assert again.key == data.key
    save(tmp_path / "only.npz", anything=x / 255)
    assert (open_data(tmp_path / "only.npz", modality="image").train.x[:, 0] == x).all()


def test_folder_of_npz(x, tmp_path):
    np.savez(tmp_path / "train.npz", x=x[:15] / 2, y=np.arange(15) % 3)
    np.savez(tmp_path / "test.npz", x=np.minimum(x[15:] / 4, 60), y=np.array([0, 1, 2, 0, 7]))
    data = open_data(tmp_path, modality="image")
    high = x[:15].max() / 2
    assert (
        data.test.x[:, 0] == np.rint(np.minimum(x[15:] / 4, 60) * 255 / high)
    ).all()  # on the scale of the training pictures
    assert data.classes == ("0", "1", "2", "7")
    assert data.test.y.tolist() == [0, 1, 2, 0, 3]
    assert data.test.names[0] == "test/0"


def test_test_pictures_of_another_shape(x, tmp_path):
    np.savez(tmp_path / "train.npz", x=x)
    np.savez(tmp_path / "test.npz", x=np.zeros((4, 20, 20), np.uint8))
    assert open_data(tmp_path).test.x.shape == (4, 1, 9, 8)
    np.savez(tmp_path / "test.npz", x=np.zeros((4, 20, 20, 3), np.uint8))
    with pytest.raises(UserError, match=r"the training pictures have 1 channels, but those in .*/test have 3"):
        open_data(tmp_path)


def test_npz_that_is_none(x, tmp_path):
    np.savez(tmp_path / "two.npz", a=x, b=x)
    np.savez(tmp_path / "objects.npz", x=np.array([{}, []], object))
    np.save(tmp_path / "objects.npy", np.array([{}, []], object))
    (tmp_path / "text.npz").write_text("text")
    (tmp_path / "text.npy").write_text("text")
    np.savez(tmp_path / "outside.npz", x=x, y=np.full(20, 3), classes=np.array(["a", "b"]))
    for name, message in (
        ("two.npz", r"expected an array x \(and y, classes\) in .*two.npz, got a, b"),
        ("objects.npz", "cannot read x in .*objects.npz: Object arrays"),
        ("objects.npy", "cannot read .*objects.npy"),
        ("text.npz", "cannot read .*text.npz"),
        ("text.npy", "cannot read .*text.npy"),
        ("outside.npz", "the label 3 is outside of the 2 classes"),
    ):
        with pytest.raises(UserError, match=message):
            open_data(tmp_path / name)


def test_the_key_is_the_content(x):
    keys = [open_data(data).key for data in (x, torch.from_numpy(x.copy()), np.asfortranarray(x))]
    assert len(set(keys)) == 1
    changed = x.copy()
    changed[3, 2, 1] ^= 1
    others = [open_data(data).key for data in (changed, (x, np.zeros(20)), x[:, :, :, None], x[:19])]
    assert len({keys[0], *others}) == 5
