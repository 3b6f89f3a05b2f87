"""From a folder of pictures and a few masks to a mask for every picture."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ipse
from ipse.errors import UserError
from ipse.jobs.run import Run
from ipse.models import Segmenter

SHAPES = [(32, 32), (40, 30), (30, 44)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright discs before dark, 24 of them; a mask for every other one, the first eight in another folder, for a test."""
    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("masks")
    for name in ("photos", "masks"):
        (root / name).mkdir()
    for i in range(24):
        height, width = SHAPES[i % 3]
        y, x = np.mgrid[:height, :width]
        disc = (y - height / 2 - rng.uniform(-4, 4)) ** 2 + (x - width / 2 - rng.uniform(-4, 4)) ** 2 < rng.uniform(6, 11) ** 2
        grey = 60 + 120 * disc + rng.normal(0, 12, disc.shape)
        Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(root / "photos" / f"{i:02}.png")
        if i % 2 == 0:
            Image.fromarray(disc.astype(np.uint8)).save(root / "masks" / f"{i:02}.png")
    (root / "masks" / "classes.txt").write_text("ground\ndisc\n")
    return root


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    words = {"method": "wbc-self-training-fixmatch", "steps": 100, "batch_size": 8, "lr": 5e-3, "size": 16}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return ipse.selftrain("photos", labels="masks", out=folder / "run", tensorboard=False, quiet=True, **words)


def test_it_writes_a_mask_for_every_picture_as_large_as_that(run: Run, folder: Path) -> None:
    with run.predictions.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [f"{i:02}.png" for i in range(24)]
    assert {row["given"] for row in rows[::2]} == {"mask"}
    assert {row["given"] for row in rows[1::2]} == {""}
    for i, row in enumerate(rows):
        mask = np.asarray(Image.open(run.masks / f"{i:02}.png"))
        assert mask.shape == SHAPES[i % 3]
        assert float(row["disc"]) == pytest.approx((mask == 1).mean(), abs=1e-4)
        assert float(row["ground"]) + float(row["disc"]) == pytest.approx(1, abs=2e-4)
        assert 0.5 <= float(row["confidence"]) <= 1


def test_it_learned_and_says_how_well(run: Run) -> None:
    numbers = run.evaluation
    assert numbers["mean-iou"] > 0.75
    assert numbers["accuracy"] > 0.9
    assert {"balanced-accuracy", "calibration-error", "negative-log-likelihood"} < set(numbers)
    assert not {"knn", "linear"} & set(numbers)
    assert any("calibrated on 2 masks" in note for note in run.judgement["notes"])
    assert type(run.classifier) is Segmenter
    assert run.classifier.classes == ("ground", "disc")


def test_the_report_shows_masks_that_were_held_out(run: Run) -> None:
    page = run.report.read_text()
    assert 'id="masks"' in page
    assert page.count('title="predicted"') == 2
    assert "% of the pixels right" in page.replace("\u00a0", " ")


def test_the_masks_it_writes_are_labels_again(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    numbers = ipse.evaluate(run.path, "photos", labels=run.masks, quiet=True, metrics=["mean-iou", "accuracy"])
    assert numbers["accuracy"] > 0.93  # what it says at the size of the files is what it says at its own
    held = ipse.evaluate(run.path, quiet=True)
    assert held["mean-iou"] == pytest.approx(run.evaluation["mean-iou"], abs=1e-6)


def test_a_run_of_pictures_can_be_where_it_starts_and_stopping_is_no_loss(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    words = {"steps": 4, "batch_size": 8, "tensorboard": False, "quiet": True}
    start = ipse.pretrain("photos", method="simclr", size=16, out=tmp_path / "start", encoder="unet", **words)
    few = ipse.selftrain("photos", labels="masks", from_=start.path, out=tmp_path / "few", holdout=0, **words)
    assert few.config["encoder"] == "unet"
    assert any("no mask was held out" in note for note in few.judgement["notes"])
    assert "mean-iou" not in few.evaluation
    assert ipse.selftrain(resume=few.path, quiet=True).evaluation == few.evaluation


@pytest.mark.parametrize(
    ("job", "says"),
    [
        (
            lambda run: ipse.selftrain("photos", labels="masks", method="t-similarity"),
            "t-similarity learns nothing from those: ipse selftrain can",
        ),
        (lambda run: ipse.pretrain("photos", labels="masks"), "ipse selftrain can, with doubly-robust-self-training, future"),
        (
            lambda run: ipse.adapt(run.path, "photos"),
            "names the classes of pixels, and ipse adapt is for models that name whole samples",
        ),
        (lambda run: ipse.distill(run.path, "photos"), "ipse distill is for"),
        (lambda run: ipse.forget(run.path, forget="photos"), "ipse forget is for"),
        (
            lambda run: ipse.evaluate(run.path, "digits", metrics=["mean-iou"]),
            r"names pixels, and the labels of digits are of another kind: give --labels, a FOLDER",
        ),
        (lambda run: ipse.selftrain("photos", labels="nowhere/"), "no such file"),
    ],
)
def test_mistakes(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, job: object, says: str) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(UserError, match=says):
        job(run)  # type: ignore[operator]


def test_pixels_are_asked_of_models_of_pixels_alone(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    few = tmp_path / "few.csv"
    few.write_text("path,label\n" + "".join(f"{i:02}.png,{'ab'[i % 2]}\n" for i in range(8)))
    words = {"steps": 2, "batch_size": 8, "tensorboard": False, "quiet": True, "size": 16}
    whole = ipse.selftrain("photos", labels=few, method="supervised", out=tmp_path / "whole", **words)
    with pytest.raises(UserError, match="for models of pixels"):
        ipse.evaluate(whole.path, "photos", labels=few, metrics=["mean-iou"])
    with pytest.raises(
        UserError, match=r"the model names whole samples, and the labels of photos are of another kind: give --labels, FILE.csv"
    ):
        ipse.evaluate(whole.path, "photos", labels="masks", metrics=["accuracy"])
