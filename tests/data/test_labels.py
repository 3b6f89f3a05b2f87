"""Labels from anywhere."""

from __future__ import annotations

import numpy as np
import pytest

from ipse.data import open_data
from ipse.data.labels import as_label, encode, in_order, merged, renumbered
from ipse.errors import UserError


@pytest.fixture
def csv(tmp_path):
    """Writes a label file."""

    def write(*lines, encoding="utf-8"):
        (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n", encoding=encoding)
        return tmp_path / "labels.csv"

    return write


def test_as_label():
    same = {
        "3": [3, 3.0, "3", "3.0", " 3 ", np.int64(3), np.float32(3), b"3"],
        None: [None, "", " ", -1, "-1", -1.0, float("nan"), b""],
    }
    for label, values in same.items():
        assert [as_label(value) for value in values] == [label] * len(values)
    assert [as_label(v) for v in ("007", "1_0", "0.5", "-2", "cat", True)] == ["007", "1_0", "0.5", "-2", "cat", "True"]


def test_order():
    assert in_order(["10", "9", "-2"]) == ("-2", "9", "10")
    assert in_order(["10", "9", "a"]) == ("10", "9", "a")
    assert merged(("b", "a"), ("a",)) == ("b", "a")
    assert merged(("b", "a"), ("c",)) == ("a", "b", "c")
    assert renumbered(np.array([0, 1, -1]), ("a", "b"), ("b", "c")).tolist() == [-1, 0, -1]
    assert renumbered(np.array([-1, -1]), (), ("b",)).tolist() == [-1, -1]


def test_encode():
    assert encode(["b", "a", None, "b"], 4)[0].tolist() == [1, 0, -1, 1]
    assert encode([2, 0, -1], 3, ["x", "y", "z"])[0].tolist() == [2, 0, -1]
    assert encode(["z", "x"], 2, ["x", "y", "z"])[0].tolist() == [2, 0]
    assert encode(np.array([-1, -1]), 2)[1] == ()
    with pytest.raises(UserError, match="'w' is not among the classes x, y"):
        encode(["w"], 1, ["x", "y"])


def test_most_may_be_empty(photos, csv):
    root = photos(*(f"{i}.png" for i in range(5)))
    data = open_data(root, labels=csv("path,label", "3.png,dog", "0.png,", "1.png,cat"))
    assert data.classes == ("cat", "dog")
    assert data.train.y.tolist() == [-1, 0, -1, 1, -1]


def test_they_replace_those_of_folders(photos, csv):
    root = photos("a/1.png", "b/2.png", "c/3.png")
    assert open_data(root, labels=csv("file,class", "a/1.png,b")).train.y.tolist() == [1, -1, -1]  # b is a class as it was
    data = open_data(root, labels=csv("file,class", "a/1.png,x", "./b/2.png,y"))
    assert data.classes == ("x", "y")
    assert data.train.y.tolist() == [0, 1, -1]


@pytest.mark.parametrize(
    "lines",
    [
        ("Name;Target", "0.png;10", "1.png;9"),
        ("label\timage", "10\t0.png", "9\t1.png"),
        ("filename,other,y", '"0.png","a, b",10.0', "1.png,x,9.0", "", "2.png,x"),
        ("\ufeffpath,label", "0.png,10", "1.png,9"),
    ],
)
def test_ways_to_write_them(photos, csv, lines):
    data = open_data(photos("0.png", "1.png", "2.png"), labels=str(csv(*lines)))
    assert data.classes == ("9", "10")
    assert data.train.y.tolist() == [1, 0, -1]


def test_samples_by_number(csv):
    data = open_data(np.zeros((4, 8, 8), np.uint8), labels=csv("index,label", "3,b", "1,a"))
    assert data.train.y.tolist() == [-1, 0, -1, 1]


def test_a_split_that_is_not_named_keeps_its_labels(photos, csv):
    root = photos("train/a/1.png", "train/b/2.png", "train/c/3.png", "test/c/4.png", "test/a/5.png", "test/b/6.png")
    data = open_data(root, labels=csv("path,label", "train/a/1.png,a", "train/c/3.png,c"))
    assert data.train.y.tolist() == [0, -1, 2]
    assert data.test.y.tolist() == [0, 1, 2]
    data = open_data(root, labels=csv("path,label", "train/a/1.png,z", "train/c/3.png,c"))
    assert data.classes == ("c", "z")
    assert data.train.y.tolist() == [1, -1, 0]
    assert data.test.y.tolist() == [-1, -1, 0]


def test_labels_do_not_decode_again_but_change_the_key(photos, csv, cache):
    root = photos("0.png", "1.png")
    keys = {open_data(root, labels=labels).key for labels in (None, csv("path,label", "0.png,a"))}
    keys.add(open_data(root, labels=csv("path,label", "0.png,b")).key)
    assert len(keys) == 3
    assert len(list((cache / "stores").iterdir())) == 1


def test_a_broken_picture_is_no_unknown_sample(photos, csv):
    root = photos("0.png", "1.png")
    (root / "1.png").write_text("text")
    assert open_data(root, labels=csv("path,label", "0.png,a", "1.png,b")).train.y.tolist() == [0]


def test_mistakes(photos, csv, tmp_path):
    root = photos("0.png", "1.png")
    for labels, message in (
        (
            csv("path,label", "0.png,a", "x.png,b", "y.png,c"),
            r"names 2 unknown samples, such as 'x.png' \(the data's names look like '0.png'\)",
        ),
    ):
        with pytest.raises(UserError, match=message):
            open_data(root, labels=labels)
    for lines, message in (
        (("0.png,a",), "has no column of samples: expected one of path, file, .* got 0.png, a"),
        (("path,colour", "0.png,red"), "has no column of labels: expected one of label, .* got path, colour"),
        (("path,label", "0.png,a", "0.png,b"), "gives '0.png' two labels: 'a' and 'b'"),
        (("",), "has no column of samples"),
    ):
        with pytest.raises(UserError, match=message):
            open_data(root, labels=csv(*lines))
    with pytest.raises(UserError, match=r"cannot read the labels .*none.csv: there is no such file"):
        open_data(root, labels=tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(UserError, match=r"cannot read the labels .*binary.csv"):
        open_data(root, labels=tmp_path / "binary.csv")
