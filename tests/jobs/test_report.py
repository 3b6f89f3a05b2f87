"""The report of a run again: elsewhere, of an array, of data that moved."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import ipse
from ipse.cli import main
from ipse.errors import UserError
from ipse.jobs.report import report
from ipse.jobs.run import Run


def test_again_the_same_bytes(run: Run) -> None:
    before = run.report.read_bytes()
    run.report.unlink()
    assert report("run") == run.report
    assert run.report.read_bytes() == before


def test_a_run_that_was_moved(run: Run, tmp_path: Path) -> None:
    shutil.move("run", "kept")
    path = report("kept", out="pages/mine.html")
    assert path == Path("pages/mine.html")
    assert path.read_bytes() == (tmp_path / "kept" / "report.html").read_bytes()


def test_what_it_says_and_what_it_does_not(run: Run, learned: Path, tmp_path: Path) -> None:
    text = re.sub(r"base64,[\w+/=]+", "", report("run").read_text(encoding="utf-8"))
    assert re.search(r"<h1><bdi>.+ on photos</bdi></h1>", text)
    assert "ipse pretrain photos --steps 4 --batch-size 16" in text
    for place in (learned, tmp_path, Path.home(), Path(ipse.__file__).parent):
        assert str(place) not in text, place


def test_an_array_says_what_to_do(
    run: Run, pictures: np.ndarray, labels: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    words = {"steps": 1, "batch_size": 8, "set": {"hidden": 16, "width": 8}, "quiet": True}
    of_array = ipse.pretrain((pictures[:20], labels[:20]), out="array", **words)
    title = re.search(r"<title>.*</title>", of_array.report.read_text(encoding="utf-8"))
    assert title
    assert "an array" in title[0]
    with pytest.raises(SystemExit) as end:
        main(["report", "array"])
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("ipse: error: array learned from an array in memory")
    assert "give data after array" in error
    before = of_array.report.read_bytes()
    report("array", (pictures[:20], labels[:20]))
    assert of_array.report.read_bytes() == before
    report("array", "photos")
    assert of_array.report.read_bytes() != before


def test_mistakes(run: Run) -> None:
    with pytest.raises(UserError, match="no run 'rum'"):
        report("rum")
    with pytest.raises(UserError, match="the encoder was made for 3"):
        report("run", "digits")
    with pytest.raises(UserError, match="cannot write the report"):
        report("run", out="photos/china/000.png/report.html")
    shutil.rmtree("photos")
    with pytest.raises(UserError, match="give data after run"):
        report("run")
