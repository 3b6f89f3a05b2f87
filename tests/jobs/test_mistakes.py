"""A user's mistake is one line that says what is wrong and what to do, with exit status 2, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ipse
from ipse.cli import main


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["pretrian"], "did you mean 'pretrain'"),
        (["pretrain", "digits", "--method", "simclt"], "did you mean 'simclr'"),
        (["pretrain", "digits", "--method", "densecl"], "not yet"),
        (["pretrain", "digits", "--encoder", "resnet19"], "did you mean 'resnet18"),
        (["pretrain", "digits", "--plus", "ldrag"], "did you mean 'ldreg'"),
        (["pretrain", "digits", "--plus", "ldreg=much"], "must be a number"),
        (["pretrain", "digits", "--watch", "rankmi"], "did you mean 'rankme'"),
        (["pretrain", "digits", "--schedule", "cosin"], "did you mean 'cosine'"),
        (["pretrain", "digits", "--optimizer", "adam"], "adamw"),
        (["pretrain", "digits", "--set", "temprature=0.1"], "did you mean 'temperature'"),
        (["pretrain", "digits", "--set", "temperature=warm"], "takes a number"),
        (["pretrain", "digits", "--set", "temperature"], "NAME=VALUE"),
        (["pretrain", "digits", "--set", "hidden=1.5"], "a whole number"),
        (["pretrain", "digits", "--views", "crop=0.5"], "a low and a high number"),
        (["pretrain", "digits", "--views", "flop=0.5"], "did you mean 'flip'"),
        (["pretrain", "digits", "--batch-size", "5000"], "1797 samples"),
        (["pretrain", "digits", "--batch-size", "33", "--devices", "2"], "multiple of --devices"),
        (["pretrain", "digits", "--batch-size", "many"], "--batch-size"),
        (["pretrain", "digits", "--steps", "0"], "more than 0"),
        (["pretrain", "digits", "--steps", "3", "--epochs", "3"], "not several"),
        (["pretrain", "digits", "--weight-decay", "-1"], "at least 0"),
        (["pretrain", "digits", "--seed", "-1"], "at least 0"),
        (["pretrain", "digits", "--labels", "none.csv"], "none.csv"),
        (["pretrain", "digits", "--precision", "fp8"], "'auto', 'fp32', 'bf16'"),
        (["pretrain", "digits", "--method", "mae", "--encoder", "small_conv"], "tokens"),
        (["pretrain", "digits", "--method", "w-mse", "--batch-size", "64"], "w-mse"),
        (["pretrain", "no/such/folder"], "no/such/folder"),
        (["pretrain", "--resume", "no/such/run"], "no/such/run"),
        (["evaluate", "no/such/run", "digits"], "no/such/run"),
        (["embed", "run", "digits", "--out", "x.csv"], ".npz or .parquet"),
        (["export", "run", "--format", "pickle", "--out", "x"], "'safetensors', 'timm', 'onnx'"),
        (["papers", "show", "densecI"], "did you mean 'densecl'"),
        (["papers", "search"], "needs WORDS"),
        (["reproduce", "densecl"], "claim"),
        (["pretrain", "digits", "--colour"], "--colour"),
    ],
)
def test_one_line(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit:
        main(words)
    error = capsys.readouterr().err.strip()
    assert exit.value.code == 2
    assert error.startswith("ipse: error: ")
    assert len(error.splitlines()) == 1
    assert expected in error
    assert not list(tmp_path.iterdir())


def test_watching_neighbours_without_labels_is_said_before_anything_is_written(tmp_path: Path, pictures: np.ndarray) -> None:
    with pytest.raises(ipse.UserError, match="--watch knn: needs labels"):
        ipse.pretrain(pictures, steps=1, watch="knn", out=tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_a_run_that_goes_on_cannot_go_elsewhere(run: ipse.Run) -> None:
    with pytest.raises(ipse.UserError, match="--resume run goes on in that folder: leave --out other out"):
        ipse.pretrain(resume="run", out="other")
    assert not Path("other").exists()


def test_the_folder_of_another_run_is_kept(tmp_path: Path, pictures: np.ndarray) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ipse.UserError, match="is there already"):
        ipse.pretrain(pictures, steps=1, out=tmp_path / "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_nan_pictures_are_skipped_and_listed(tmp_path: Path, pictures: np.ndarray) -> None:
    x = pictures.astype(np.float32)
    x[3] = np.nan
    run = ipse.pretrain(x, steps=1, batch_size=8, set={"hidden": 16}, out=tmp_path / "run", quiet=True)
    assert run.config["samples"] == len(pictures) - 1
    assert '"3"' in (tmp_path / "run" / "skipped.jsonl").read_text()


def test_one_pixel_pictures_of_one_class_survive(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 255, (20, 3, 1, 1), dtype=np.uint8)
    run = ipse.pretrain(
        (x, np.zeros(20, dtype=int)), steps=1, batch_size=8, set={"hidden": 16}, out=tmp_path / "run", quiet=True
    )
    assert "knn" not in run.evaluation
    assert np.isfinite(run.evaluation["rankme"])
