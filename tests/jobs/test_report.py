"""The report of a run again: elsewhere, of an array, of data that moved."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import ipse
from ipse import models
from ipse.cli import main
from ipse.data import Data, Samples, form
from ipse.data.rows import Rows
from ipse.data.series import Series
from ipse.data.strings import Strings
from ipse.data.waves import Waves
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


def shown(samples: Samples, encoder: str, folder: Path, **settings: Any) -> tuple[str, dict[str, Any]]:
    """The report of an untrained encoder on samples: the page without its figures' data, and those."""
    torch.manual_seed(0)
    models.save(models.create(encoder, samples.form, **settings).eval(), folder)
    config = dict.fromkeys(("data", "labels", "data_key", "size", "words"))
    config |= {"command": "ipse pretrain it", "samples": 24, "modality": samples.form["modality"], "method": "simclr"}
    (folder / "config.yaml").write_text(yaml.safe_dump(config | {"encoder": encoder}))
    data = Data("it", samples, samples, (), [], "key")
    text = report(folder, data).read_text(encoding="utf-8")
    assert report(folder, data, out=folder / "again.html").read_text(encoding="utf-8") == text
    found = re.search(r'id="report-data">(.*?)</script>', text, re.DOTALL)
    assert found
    page = " ".join(re.sub(r"<(script|style).*?</\1>", "", text, flags=re.DOTALL).split())
    assert "icture" not in re.sub("<[^>]*>", "", page)
    return page, json.loads(found[1])


def test_recordings_are_seen_and_heard(tmp_path: Path) -> None:
    length = np.full(24, 8000)
    x = np.random.default_rng(0).integers(-9000, 9000, length.sum()).astype(np.int16)
    samples = Waves(x, np.arange(24) * 8000, length, np.full(24, -1), Strings.of(map(str, range(24))), window=8000)
    page, data = shown(samples, "mel_conv", tmp_path)
    assert "24 samples of 0.5 s at 16 kHz" in page
    near = {i for row in data["neighbours"] for i in (row["query"], *row["index"])}
    assert set(map(int, data["sounds"])) == set(map(int, data["closeups"]["place"])) == near
    assert all(sound.startswith("data:audio/") for sound in data["sounds"].values())


def test_series_are_plotted(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((24 * 32, 2)).astype(np.float32)
    x[3:8] = np.nan
    samples = Series(x, np.arange(24) * 32, np.full(24, 32), form.series(2, 32, ["pulse", "breath"]))
    page, data = shown(samples, "dilated_conv", tmp_path)
    assert data["channels"] == ["pulse", "breath"]
    assert "Plots</button>" in page
    assert data["lines"]["0"][1][2:9:5] != [None, None]
    assert data["lines"]["0"][1][3:8] == [None] * 5


def test_columns_are_weighed(tmp_path: Path) -> None:
    columns = [{"name": f"n{i}", "categories": None, "mean": 0.0, "scale": 1.0} for i in range(14)]
    columns.append({"name": "city", "categories": ["Berlin", "Paris"], "mean": 0.0, "scale": 1.0})
    x = np.random.default_rng(0).standard_normal((24, 15)).astype(np.float32)
    x[:, 14] = np.arange(24) % 2
    x[:, 3] = 1.5
    page, data = shown(Rows(x, form.table(columns)), "table_mlp", tmp_path)
    assert "24 samples of 15 columns" in page
    section = page.split("What the columns do")[1].split("</section>")[0]
    names, shares = re.findall(r"<bdi>(.*?)</bdi>", section), [float(v) for v in re.findall(r"([\d.]+) %</td>", section)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0
    assert (names[-1], shares[-1]) == ("n3", 0)
    assert data["columns"] == names[:12]
    assert len(data["cells"]) == 24


def test_of_very_many_columns_some_are_weighed(tmp_path: Path) -> None:
    columns = [{"name": f"n{i}", "categories": None, "mean": 0.0, "scale": 1.0} for i in range(230)]
    x = np.random.default_rng(0).standard_normal((24, 230)).astype(np.float32)
    page, data = shown(Rows(x, form.table(columns)), "table_mlp", tmp_path, width=16, depth=1)
    assert "The first 30 of 200 columns are shown; 170 move the embeddings less. 30 more" in page
    assert len(data["columns"]) == 12
