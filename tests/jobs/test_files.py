"""A file appears whole or not at all, and the disk's refusals are one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ipse.errors import UserError
from ipse.jobs.files import whole


def test_the_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "x.txt"
    with whole(path) as draft:
        assert draft.suffix == ".txt"
        draft.write_text("all of it")
        assert not path.exists()
    assert path.read_text() == "all of it"
    assert os.listdir(path.parent) == ["x.txt"]


def test_what_was_there_is_kept_when_the_block_fails(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), whole(path) as draft:
        draft.write_text("half of")
        raise ZeroDivisionError
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["x.txt"]


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot write .*x\.txt: No space left"), whole(tmp_path / "x.txt"):
        raise OSError(28, "No space left on device")
    assert not os.listdir(tmp_path)


def test_what_cannot_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, reason in (("file/x.txt", "Not a directory|File exists"), (".", "it is a folder")):
        with pytest.raises(UserError, match=reason), whole(tmp_path / path):
            pytest.fail("entered")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="Permission denied"), whole(tmp_path / "x.txt"):
        pytest.fail("entered")
