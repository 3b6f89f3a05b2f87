"""Parts by name."""

from __future__ import annotations

import pytest

from ipse.data.splits import by_word, choose


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["train", "test"], ("train", "test")),
        (["validation", "train"], ("train", "validation")),
        (["val", "test", "train"], ("train", "test")),
        (["Train", "Valid"], ("Train", "Valid")),
        (["test"], ("test", None)),
        (["everything"], ("everything", None)),
        (["unsupervised", "test"], ("unsupervised", "test")),
        (["test", "validation"], ("validation", "test")),
    ],
)
def test_choose(names, chosen):
    assert choose(names) == chosen


def test_by_word():
    files = ["train-00000-of-00001.parquet", "data/test-0.parquet", "val/0.tar", "latest.tar", "contest_1.tar"]
    assert by_word(files) == {"train": [files[0], files[3], files[4]], "test": [files[1]], "val": [files[2]]}
