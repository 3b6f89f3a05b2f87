"""Folders of pictures: classes, splits, and files that are something else."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from ipse.data import open_data
from ipse.errors import UserError


def test_pictures_without_classes(photos):
    data = open_data(photos("b.png", "a.jpg", "deep/er/c.PNG"))
    assert list(data.train.names) == ["a.jpg", "b.png", "deep/er/c.PNG"]
    assert data.train.x.shape == (3, 3, 12, 12)
    assert data.train.x.dtype == np.uint8
    assert (data.name, data.form["size"], data.classes, data.test) == ("photos", 12, (), None)
    assert not data.train.labelled
    assert data.skipped == []


def test_class_folders(photos):
    data = open_data(photos("dog/x/1.png", "cat/1.png", "cat/2.png", "stray.png"))
    assert data.classes == ("cat", "dog")
    assert dict(zip(data.train.names, data.train.y.tolist(), strict=True)) == {
        "cat/1.png": 0,
        "cat/2.png": 0,
        "dog/x/1.png": 1,
        "stray.png": -1,
    }


def test_classes_that_are_numbers_are_sorted_as_numbers(photos):
    assert open_data(photos("10/a.png", "9/a.png", "2/a.png")).classes == ("2", "9", "10")


def test_one_class_folder_is_no_label(photos):
    assert open_data(photos("cat/1.png", "cat/2.png")).classes == ()


def test_a_few_pictures_in_folders_are_no_labels(photos):
    assert open_data(photos("1.png", "2.png", "3.png", "4.png", "x/5.png", "y/6.png")).classes == ()


def test_splits(photos):
    data = open_data(photos("train/cat/1.png", "train/dog/2.png", "test/dog/3.png", "test/cat/4.png", "test/owl/5.png"))
    assert data.classes == ("cat", "dog", "owl")
    assert list(data.train.names) == ["train/cat/1.png", "train/dog/2.png"]
    assert data.train.y.tolist() == [0, 1]
    assert list(data.test.names) == ["test/cat/4.png", "test/dog/3.png", "test/owl/5.png"]
    assert data.test.y.tolist() == [0, 1, 2]


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Test"])
def test_names_of_the_test_split(photos, name):
    assert len(open_data(photos("train/1.png", f"{name}/2.png", f"{name}/3.png")).test) == 2


def test_what_is_beside_the_splits_is_listed(photos):
    data = open_data(photos("train/1.png", "test/2.png", "val/3.png", "cover.png"))
    assert [(s.name, s.reason) for s in data.skipped] == [
        ("1 pictures", "beside train/ and test/: not used"),
        ("val/", "beside train/ and test/: not used"),
    ]


def test_train_alone_is_entered(photos):
    assert open_data(photos("train/cat/1.png", "train/dog/2.png")).classes == ("cat", "dog")


def test_train_beside_other_folders_is_a_class(photos):
    assert open_data(photos("train/1.png", "bus/2.png")).classes == ("bus", "train")


def test_the_test_split_is_stored_like_the_training_split(photos):
    photos("train/1.png", "train/2.png", mode="L")
    data = open_data(photos("test/1.png", width=30, height=20))
    assert data.train.x.shape[1:] == data.test.x.shape[1:] == (1, 12, 12)
    assert data.test.aspect.tolist() == [1.5]


def test_broken_pictures_are_listed(photos):
    root = photos("a.png", "b.png", "c.png")
    (root / "b.png").write_bytes((root / "b.png").read_bytes()[:200])
    (root / "d.jpg").write_text("text")
    (root / "e.jpg").touch()
    data = open_data(root)
    assert list(data.train.names) == ["a.png", "c.png"]
    reasons = {"b.png": "the file is truncated", "d.jpg": "not a picture of a known format", "e.jpg": "the file is empty"}
    assert {s.name: s.reason for s in data.skipped} == reasons
    assert {s.name: s.reason for s in open_data(root).skipped} == reasons  # from the store


def test_what_is_no_file(photos):
    root = photos("a.png")
    os.mkfifo(root / "pipe.jpg")
    (root / "gone.jpg").symlink_to(root / "nothing")
    (root / "folder.jpg").mkdir()
    assert {s.name: s.reason for s in open_data(root).skipped} == {
        "gone.jpg": "no such file or directory",
        "pipe.jpg": "not a regular file",
    }


def test_everything_broken(tmp_path):
    (tmp_path / "a.jpg").write_text("text")
    with pytest.raises(UserError, match=r"none of the 1 pictures in .* can be read; the first, a.jpg: not a picture"):
        open_data(tmp_path)


def test_a_broken_test_split_does_not_stop_the_run(photos):
    root = photos("train/1.png", "train/2.png", "test/3.png")
    (root / "test/3.png").write_text("text")
    data = open_data(root)
    assert data.test is None
    assert [s.name for s in data.skipped] == ["test/3.png"]


def test_other_and_hidden_files(photos):
    root = photos("a.png", ".hidden/b.png", ".c.png")
    (root / "notes.txt").write_text("hello")
    data = open_data(root)
    assert list(data.train.names) == ["a.png"]
    assert data.ignored == 1


def test_no_pictures(tmp_path):
    with pytest.raises(UserError, match=r"no pictures, recordings or tables in .* \(0 other files; known pictures: .*\.jpg"):
        open_data(tmp_path)
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(UserError, match=r"\(1 other files"):
        open_data(tmp_path)


def test_links_are_followed_once(photos):
    root = photos("a/1.png", "b/2.png")
    (root / "a" / "loop").symlink_to(root)
    (root / "c").symlink_to(photos("3.png", under="elsewhere"))
    assert list(open_data(root).train.names) == ["a/1.png", "b/2.png", "c/3.png"]


def test_a_folder_that_cannot_be_entered(photos, monkeypatch):
    root, scan = photos("a.png", "locked/b.png"), os.scandir

    def guarded(path):
        if os.fspath(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scan(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", guarded)
        assert [(s.name, s.reason) for s in open_data(root).skipped] == [("locked", "permission denied")]
        with pytest.raises(UserError, match=r"cannot read the folder .*locked: permission denied"):
            open_data(root / "locked")


def test_names_that_are_no_text(photos, tmp_path):
    root = photos("a.png")
    shutil.copy(root / "a.png", os.fsencode(root) + b"/b\xff.png")
    assert list(open_data(root).train.names) == ["a.png", "b�.png"]


def test_grey_pictures_have_one_channel_and_a_single_colour_picture_makes_three(photos):
    root = photos(*(f"{i}.png" for i in range(5)), mode="L")
    assert open_data(root).train.channels == 1
    photos("z.png")
    assert open_data(root).train.channels == 3


def test_a_colour_picture_that_the_first_look_missed(photos, monkeypatch):
    root = photos(*(f"{i}.png" for i in range(5)), mode="L")
    photos("z.png")
    monkeypatch.setattr("ipse.data.folders.SAMPLE", 3)  # looks at 0, 2 and 4
    assert open_data(root).train.channels == 3


@pytest.mark.parametrize(
    ("side", "asked", "size", "stored"),
    [
        (1, None, 8, 1),
        (30, None, 32, 30),
        (64, None, 64, 64),
        (200, None, 64, 96),
        (80, None, 64, 80),
        (200, 32, 32, 48),
        (20, 32, 32, 20),
        (300, 224, 224, 256),
        (200, 50, 50, 80),
    ],
)
def test_sizes(photos, side, asked, size, stored):
    data = open_data(photos("a.png", "b.png", "c.png", width=side, height=side + 1), size=asked)
    assert (data.form["size"], data.train.x.shape) == (size, (3, 3, stored, stored))


def test_the_short_sides_median_decides(photos):
    photos("a.png", "b.png", width=20, height=90)
    assert open_data(photos("z.png", width=500, height=500)).train.height == 20


def test_aspect_is_of_the_upright_picture(photos, picture):
    root = photos("a.png", width=20, height=10)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(1, 30, 10).save(root / "b.jpg", exif=exif)
    assert open_data(root).train.aspect.tolist() == pytest.approx([2, 1 / 3])
