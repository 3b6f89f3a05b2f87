"""Few labels and much data, from the command to the table of predictions."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

import ipse
from ipse.errors import UserError
from ipse.jobs.run import Run

FEW = {"steps": 3, "batch_size": 16, "quiet": True, "tensorboard": False}


def rows(run: Path) -> list[dict[str, str]]:
    with open(run / "predictions.csv", newline="") as file:
        return list(csv.DictReader(file))


def few(folder: Path, each: int, name: str = "few.csv") -> str:
    """Labels of so many photos of each class."""
    photos = {kind: sorted(p.name for p in (folder / "photos" / kind).iterdir()) for kind in ("china", "flower")}
    lines = [f"{kind}/{name},{kind}" for kind, names in photos.items() for name in names[:each]]
    (folder / name).write_text("\n".join(["path,label", *lines]) + "\n")
    return name


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """A folder with photos/, few.csv with 30 labels of each class, and the run `run` that learned from them."""
    folder = tmp_path_factory.mktemp("selftrain")
    shutil.copytree(photos, folder / "photos")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        few(folder, 30)
        ipse.selftrain("photos", labels="few.csv", method="fixmatch", holdout=0.4, out="run", **FEW)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_is_a_classifier_with_predictions(folder: Path) -> None:
    run = Run.open("run")
    files = {p.name for p in run.path.iterdir()}
    assert files >= {
        "config.yaml",
        "encoder.safetensors",
        "head.safetensors",
        "metrics.jsonl",
        "predictions.csv",
        "report.html",
        "state",
    }
    assert run.config["job"] == "selftrain"
    assert run.config["command"].startswith("ipse selftrain photos --labels few.csv")
    model = run.classifier
    assert model.classes == ("china", "flower")
    found = rows(run.path)
    assert len(found) == 80
    assert sum(row["given"] != "" for row in found) == 60
    assert {row["label"] for row in found} <= {"china", "flower"}
    assert all(0.5 <= float(row["confidence"]) <= 1 for row in found)
    assert all(row["given"] == Path(row["name"]).parent.name for row in found if row["given"])


def test_the_confidences_are_those_of_the_calibrated_model(folder: Path) -> None:
    run = Run.open("run")
    data = run.data()
    x = torch.as_tensor(data.train.read([0])["x"]).float() / 127.5 - 1
    probability, guess = run.classifier.probabilities(x)[0].max(0)
    first = rows(run.path)[0]
    assert float(first["confidence"]) == pytest.approx(float(probability), abs=1e-3)
    assert first["label"] == run.classifier.classes[int(guess)]


def test_what_was_held_out_is_not_learned_from(folder: Path) -> None:
    from ipse.jobs.settings import held_out, lessons

    run = Run.open("run")
    data, config = run.data(), run.config
    held, learned = set(held_out(data, config).names), set(lessons(data, config).names)
    assert len(held) == 24
    assert not held & learned
    assert len(learned) == 56 == config["samples"]


def test_it_is_judged_by_what_was_held_out(folder: Path) -> None:
    run = Run.open("run")
    last = run.judgement
    names = {
        "accuracy",
        "balanced-accuracy",
        "calibration-error",
        "negative-log-likelihood",
        "self-training",
        "label-spreading",
    }
    assert names <= run.evaluation.keys()
    assert {"self-training", "calibration-error"} <= last["start"].keys()
    assert "Judged by 24 labels" in " ".join(last["notes"])
    assert "calibrated on 24 labels" in " ".join(last["notes"])
    numbers = ipse.evaluate("run", quiet=True)
    assert numbers == pytest.approx({name: run.evaluation[name] for name in numbers})
    page = run.report.read_text()
    assert "Reliability diagram" in page
    assert "What each class (rows) is called (columns)" in page


def test_other_verbs_take_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = ipse.evaluate("run", "photos", quiet=True)
    assert {"accuracy", "calibration-error", "knn"} <= numbers.keys()
    assert ipse.evaluate("run", "photos", metrics="accuracy", quiet=True) == {"accuracy": numbers["accuracy"]}
    ipse.embed("run", "photos", out="z.npz")
    before = Path("run/report.html").read_bytes()
    ipse.report("run")
    assert Path("run/report.html").read_bytes() == before
    with pytest.raises(UserError, match="has none"):
        ipse.evaluate("run", np.zeros((8, 3, 16, 16), np.uint8), metrics="accuracy", quiet=True)


def test_onnx_has_scores_too(folder: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    ipse.export("run", format="onnx", out="model.onnx")
    session = onnxruntime.InferenceSession("model.onnx")
    assert [output.name for output in session.get_outputs()] == ["embedding", "logits"]
    assert json.loads(session.get_modelmeta().custom_metadata_map["ipse"])["classes"] == ["china", "flower"]
    x = torch.linspace(-1, 1, 2 * 3 * 16 * 16).view(2, 3, 16, 16)
    model = Run.open("run").classifier
    z, logits = session.run(None, {"image": x.numpy()})
    np.testing.assert_allclose(z, model.features(x).detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(torch.tensor(logits).softmax(-1), model.probabilities(x).numpy(), atol=1e-5)


def test_from_a_run_that_learned_without_labels(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ipse.pretrain("photos", method="simclr", encoder="tiny_vit", set={"hidden": 8, "width": 8}, out="before", **FEW)
    run = ipse.selftrain(
        "photos", labels="few.csv", method="supervised", from_="before", lr=1e-12, weight_decay=0, out="after", **FEW
    )
    assert (run.config["encoder"], run.config["encoder_options"]["depth"]) == ("small_vit", 4)  # which is what tiny_vit is
    assert "--from before" in run.config["command"]
    one, other = load_file("before/encoder.safetensors"), load_file("after/encoder.safetensors")
    assert all(torch.allclose(one[name], other[name], atol=1e-6) for name in one)
    with pytest.raises(UserError, match="--encoder: that is settled by --from before"):
        ipse.selftrain("photos", labels="few.csv", from_="before", encoder="small_conv", out="x", **FEW)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--labels", "few.csv", "--from", "nowhere"], "no run 'nowhere'"),
        (["--labels", "few.csv", "--from", "photos"], "has no config.yaml"),
        (["--labels", "one.csv"], "nothing to tell apart"),
        (["--labels", "strange.csv"], "names 1 unknown samples"),
        (["--labels", "few.csv", "--method", "fixmach"], "did you mean 'fixmatch'"),
        (["--labels", "few.csv", "--method", "simclr"], "is a method, not a selftrain method"),
        (["--labels", "few.csv", "--holdout", "1"], "--holdout must be a share"),
        (["--labels", "few.csv", "--optimizer", "dot"], "no part 'distillation'"),
        (["--labels", "empty.csv"], "learns from labels, and photos has none"),
    ],
)
def test_mistakes(folder: Path, words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    from ipse.cli import main

    Path("empty.csv").write_text("path,label\nchina/000.png,\nflower/001.png,\n")
    Path("one.csv").write_text("path,label\nchina/000.png,china\nchina/002.png,china\n")
    Path("strange.csv").write_text("path,label\nchina/000.png,china\nchina/no.png,flower\n")
    with pytest.raises(SystemExit) as end:
        main(["selftrain", "photos", *words, "--steps", "1", "--out", "new"])
    error = capsys.readouterr().err.strip()
    assert end.value.code == 2
    assert len(error.splitlines()) == 1
    assert expected in error
    assert not Path("new").exists()


def test_no_data_is_a_mistake() -> None:
    with pytest.raises(UserError, match="name the data"):
        ipse.selftrain(labels="few.csv")


def test_a_class_of_the_labels_that_the_data_does_not_know(folder: Path) -> None:
    """Then the labels say which classes there are."""
    Path("other.csv").write_text(
        "path,label\n" + "\n".join(f"china/{i:03}.png,{'day' if i % 4 else 'night'}" for i in range(0, 80, 2))
    )
    run = ipse.selftrain("photos", labels="other.csv", method="supervised", out="other", **FEW)
    assert run.classifier.classes == ("day", "night")
    assert "not calibrated" in " ".join(run.judgement["notes"])
    assert "how often the classifier is right is not known" in " ".join(run.judgement["notes"])
    assert "accuracy" not in run.evaluation
    assert float(run.classifier.temperature) == 1
    assert "is not known" in run.report.read_text()
    with pytest.raises(UserError, match="labels that it has not learned from"):
        ipse.evaluate("other", metrics="accuracy", quiet=True)


def test_labels_for_all_and_a_test_part(tmp_path: Path, pictures: np.ndarray, labels: np.ndarray) -> None:
    x, y = pictures[:96], labels[:96]
    for part, index in (("train", slice(0, 64)), ("test", slice(64, 96))):
        (tmp_path / "data").mkdir(exist_ok=True)
        np.savez(tmp_path / "data" / f"{part}.npz", x=x[index], y=y[index])
    data = tmp_path / "data"
    run = ipse.selftrain(data, out=tmp_path / "run", **FEW)
    assert run.config["holdout"] == 0  # a tenth of 64 labels would be too few to calibrate by
    assert run.evaluation["accuracy"] * 32 == pytest.approx(round(run.evaluation["accuracy"] * 32))
    assert len(rows(run.path)) == 64


@pytest.mark.parametrize("kind", ["series", "table"])
def test_other_kinds_of_data(kind: str, tmp_path: Path) -> None:
    import pandas as pd
    from tests.methods.kinds import samples

    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    if kind == "table":
        frame = pd.DataFrame({f"x{i}": rng.normal(y) for i in range(4)})
        frame["kind"] = np.where(np.arange(60) < 24, np.where(y, "a", "b"), "")
        frame.to_csv(tmp_path / "data.csv", index=False)
        run = ipse.selftrain(tmp_path / "data.csv", labels="kind", modality="table", out=tmp_path / "run", **FEW)
    else:
        assert samples(kind).form["modality"] == kind
        data = (rng.normal(size=(60, 2, 32)) + y[:, None, None], np.where(np.arange(60) < 24, y, -1))
        run = ipse.selftrain(data, modality="series", out=tmp_path / "run", **FEW)
    assert len(run.classifier.classes) == 2
    assert len(rows(run.path)) == 60


def test_stopped_and_resumed_to_the_same_bits(ipse, folder: Path) -> None:
    words = ["selftrain", "photos", "--labels", "few.csv", "--steps", 12, "--batch-size", 16, "--no-tensorboard"]
    ipse(*words, "--out", "whole").check_returncode()
    command = [sys.executable, "-m", "ipse", *map(str, words), "--out", "stopped"]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    log, deadline = folder / "stopped" / "metrics.jsonl", time.monotonic() + 120
    while time.monotonic() < deadline and not (log.exists() and len(log.read_text().splitlines()) > 3):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    if process.returncode:  # it may have ended before
        assert "go on with: ipse selftrain --resume stopped" in error
    ipse("selftrain", "--resume", "stopped").check_returncode()
    for name in ("encoder.safetensors", "head.safetensors", "predictions.csv"):
        assert (folder / "whole" / name).read_bytes() == (folder / "stopped" / name).read_bytes(), name


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(folder: Path) -> None:
    """The run is learned in this process and by two others; what they logged agrees."""
    one = ipse.selftrain("photos", labels="few.csv", out="one", **FEW)
    two = ipse.selftrain("photos", labels="few.csv", out="two", devices=2, **FEW)
    losses = [[line["loss"] for line in run.history() if "loss" in line] for run in (one, two)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)


def test_resuming_by_another_verb_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="run is a run of ipse selftrain"):
        ipse.pretrain("photos", resume="run")
    with pytest.raises(UserError, match="started with --method fixmatch|the default --method"):
        ipse.selftrain(resume="run", method="supervised")
    config: dict[str, Any] = yaml.safe_load(Path("run/config.yaml").read_text())
    assert list(config)[:2] == ["job", "command"]
