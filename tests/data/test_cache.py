"""Folders that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from ipse.data.cache import cache_folder, data_folder, discard, scratch, whole
from ipse.errors import UserError


def test_where(monkeypatch, tmp_path):
    assert cache_folder(tmp_path) == tmp_path
    monkeypatch.setenv("IPSE_CACHE", "~/there")
    assert cache_folder() == Path.home() / "there"
    for variable in ("IPSE_CACHE", "IPSE_DATA"):
        monkeypatch.delenv(variable)
    assert (cache_folder(), data_folder()) == (Path.home() / ".cache/ipse", Path.home() / ".cache/ipse/data")


def test_whole(tmp_path):
    with whole(tmp_path / "in" / "a") as folder:
        (folder / "x").write_text("x")
        assert not (tmp_path / "in" / "a").exists()
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["a"]


def test_not_at_all(tmp_path):
    with pytest.raises(FileNotFoundError), whole(tmp_path / "a") as folder:
        (folder / "x").with_name("y").rename(folder / "z")
    assert list(tmp_path.iterdir()) == []


def test_the_first_wins(tmp_path):
    with whole(tmp_path / "a") as late:
        (late / "x").write_text("late")
        with whole(tmp_path / "a") as early:
            (early / "x").write_text("early")
    assert (tmp_path / "a" / "x").read_text() == "early"
    assert len(list(tmp_path.iterdir())) == 1


def test_discard(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").touch()
    discard(tmp_path / "a")
    discard(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_leftovers_are_swept_when_nobody_holds_them(tmp_path):
    (tmp_path / "old.tmp").mkdir()
    (tmp_path / "new.tmp").mkdir()
    with scratch(tmp_path, "held") as held:
        for folder in (tmp_path / "old.tmp", held):
            os.utime(folder, (time.time() - 600,) * 2)
        with scratch(tmp_path, "next"):
            assert {path.name for path in tmp_path.iterdir()} >= {"new.tmp", held.name}
            assert not (tmp_path / "old.tmp").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk(tmp_path, number):
    with pytest.raises(UserError, match="no space left on the disk of"), whole(tmp_path / "a"):
        raise OSError(number, os.strerror(number))
    assert list(tmp_path.iterdir()) == []
