"""Files are read once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ipse.data import digest
from ipse.data.digest import file_digests


@pytest.fixture
def files(tmp_path):
    (tmp_path / "files").mkdir()
    for name in "abc":
        (tmp_path / "files" / name).write_text(name)
        os.utime(tmp_path / "files" / name, (1000, 1000))
    return tmp_path / "files"


@pytest.fixture
def read(files, cache, monkeypatch):
    """Digests of files, and which of them were read for it."""
    really = digest.file_digest

    def look(*names, part="train"):
        opened = []
        monkeypatch.setattr(digest, "file_digest", lambda file: opened.append(Path(file.name).name) or really(file))
        found = file_digests(files, names, part, cache, lambda *_: None)
        return found.tolist(), sorted(opened)

    return look


def test_a_file_is_read_once(files, read):
    first, opened = read("a", "b", "c")
    assert opened == ["a", "b", "c"]
    assert len(set(first)) == 3
    assert len(first[0]) == 32
    assert read("a", "b", "c") == (first, [])
    (files / "b").write_text("x")
    os.utime(files / "b", (2000, 2000))
    again, opened = read("a", "b", "c")
    assert opened == ["b"]
    assert again[0] == first[0]
    assert again[1] != first[1]
    assert read("a", "c") == ([again[0], again[2]], [])


def test_files_come_and_go(files, read):
    read("b")
    assert read("a", "b", "c")[1] == ["a", "c"]
    assert read("c")[1] == []
    assert read("a", "b", "c", part="test")[1] == ["a", "b", "c"]
    assert read("a", "b", "c")[1] == []


def test_a_file_that_may_still_change_is_read_again(files, read):
    os.utime(files / "a")
    read("a", "b")
    assert read("a", "b")[1] == ["a"]


def test_the_digest_is_of_the_content(files, read):
    (files / "b").write_text("a")
    (a, b, none), _ = read("a", "b", "none")
    assert a == b
    assert none == b""


@pytest.mark.parametrize("damage", ["{", '["a", 1]\n', '[1, "x", null, 3]\n', "\xff", '["a", 1, 1000000000000, 5]\n'])
def test_a_damaged_memory_only_costs_time(read, cache, damage):
    first, _ = read("a", "b", "c")
    (memory,) = (cache / "digests").iterdir()
    memory.write_text(damage, encoding="latin-1")
    again, _ = read("a", "b", "c")
    assert again[1:] == first[1:]


def test_a_memory_that_cannot_be_written_only_costs_time(files, tmp_path):
    (tmp_path / "file").touch()
    assert len(file_digests(files, ["a"], "train", tmp_path / "file", lambda *_: None)) == 1
