"""A student learns from a teacher, from the command to the comparison of the two."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import ipse
from ipse.errors import UserError
from ipse.jobs.run import Run

FEW = {"steps": 3, "batch_size": 16, "quiet": True, "tensorboard": False}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """A folder with photos/, the classifier `teacher` and its student `run`."""
    folder = tmp_path_factory.mktemp("distill")
    shutil.copytree(photos, folder / "photos")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        ipse.selftrain("photos", method="supervised", out="teacher", **FEW)
        ipse.distill("teacher", "photos", student="tiny_vit", holdout=0.3, scratch=True, out="run", **FEW)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Linear(nn.Module):
    """A module of somebody's own."""

    def __init__(self, classes: int, channels: int = 3) -> None:
        super().__init__()
        self.layer = nn.Linear(channels * 16 * 16, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x.flatten(1))


def test_teacher_student_and_student_from_scratch_are_compared(folder: Path) -> None:
    run = Run.open("run")
    assert run.config["command"].startswith("ipse distill teacher photos --student tiny_vit")
    assert run.classifier.encoder.options()["depth"] == 4  # that of tiny_vit
    assert run.classifier.classes == ("china", "flower")
    models = {row["name"]: row for row in run.judgement["models"]}
    assert list(models) == ["teacher", "student", "student from scratch"]
    for name, path in (("teacher", "teacher"), ("student", "run"), ("student from scratch", "run/scratch")):
        assert models[name]["parameters"] == sum(p.numel() for p in Run(Path(path)).classifier.parameters())
        assert 0 <= models[name]["accuracy"] <= 1
    assert models["student"]["multiply_adds"] == models["student from scratch"]["multiply_adds"] > 0
    assert models["student"]["accuracy"] == pytest.approx(run.evaluation["accuracy"])
    assert "student from scratch" in run.report.read_text()
    assert (run.path / "predictions.csv").exists()


def test_multiply_adds_of_a_linear_layer(pictures: np.ndarray) -> None:
    from ipse.data import open_data
    from ipse.jobs.classes import facts

    found = facts(Linear(5), open_data(pictures[:4]).train, None)
    assert found == {"parameters": 768 * 5 + 5, "multiply_adds": 768 * 5, "accuracy": None}


def test_without_labels(folder: Path, pictures: np.ndarray) -> None:
    run = ipse.distill("teacher", pictures[:40], out="bare", **FEW)
    assert run.classifier.classes == ("china", "flower")
    assert "accuracy" not in run.evaluation
    assert [row["accuracy"] for row in run.judgement["models"]] == [None, None]
    with pytest.raises(UserError, match="--scratch: without its teacher the student learns from labels"):
        ipse.distill("teacher", pictures[:40], scratch=True, out="none", **FEW)


def test_labels_are_numbered_as_the_teachers_by_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("some.csv").write_text("path,label\nflower/001.png,flower\nflower/003.png,rose\n")
    run = ipse.distill("teacher", "photos", labels="some.csv", out="named", **FEW)
    assert "are no classes of the teacher, such as 'rose'" in capsys.readouterr().err
    given = {row.split(",")[0]: row.split(",")[3] for row in run.predictions.read_text().splitlines()}
    assert given["flower/001.png"] == "flower"
    assert given["flower/003.png"] == ""


def test_the_teacher_does_not_change_and_is_not_in_the_state(folder: Path, pictures: np.ndarray) -> None:
    from safetensors import safe_open

    with safe_open("run/state/state.safetensors", framework="pt") as file:
        assert not [name for name in file.keys() if "teacher" in name]  # noqa: SIM118


def test_a_module_teaches(folder: Path, pictures: np.ndarray, labels: np.ndarray) -> None:
    teacher = Linear(2)
    before = teacher.layer.weight.clone()
    run = ipse.distill(teacher, (pictures[:64], labels[:64]), out="module", **FEW)
    assert run.classifier.classes == ("0", "1")
    assert torch.equal(teacher.layer.weight, before)
    with pytest.raises(UserError, match="module in memory; pass the same module again"):
        ipse.distill(data=(pictures[:64], labels[:64]), resume="module")
    again = ipse.distill(teacher, (pictures[:64], labels[:64]), resume="module", quiet=True)
    assert again.evaluation == run.evaluation


def test_a_timm_name_teaches(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    create = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained=False, **options: create(name, **options))
    monkeypatch.setattr("ipse.models.timm_door.default_size", lambda name: 32)
    run = ipse.distill("test_resnet", "photos", student="small_conv", **FEW | {"steps": 1}, out="timm")
    assert len(run.classifier.classes) == 1000
    assert run.config["size"] == 32


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "name who teaches"),
        (["nobody", "photos"], "no run 'nobody'"),
        (["photos", "photos"], "has no config.yaml"),
        (["teacher"], "name the data"),
        (["teacher", "photos", "--student", "small_cnov"], "did you mean 'small_conv'"),
        (["teacher", "photos", "--method", "kb"], "distill method 'kb'"),
        (["teacher", "photos", "--set", "temperature=hot"], "takes a number"),
        (["teacher", "photos", "--size", "8"], "--size: that is settled by the teacher"),
    ],
)
def test_mistakes(folder: Path, words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    from ipse.cli import main

    with pytest.raises(SystemExit) as end:
        main(["distill", *words, "--steps", "1", "--out", "new"])
    error = capsys.readouterr().err.strip()
    assert end.value.code == 2
    assert len(error.splitlines()) == 1
    assert expected in error
    assert not Path("new").exists()


def test_teachers_that_do_not_fit(folder: Path, pictures: np.ndarray) -> None:
    with pytest.raises(UserError, match="the teacher cannot look at samples of 16 px"):
        ipse.distill(Linear(2, channels=1), pictures, out="x", **FEW)
    with pytest.raises(UserError, match=r"\(2, K\) for two samples, and gives \(2, 3, 16, 16\)"):
        ipse.distill(nn.Identity(), pictures, out="x", **FEW)
    with pytest.raises(UserError, match="a run's folder, a timm model name or a torch module, not int"):
        ipse.distill(3, pictures, out="x", **FEW)
    ipse.pretrain("photos", set={"hidden": 8, "width": 8}, out="bare", **FEW)
    with pytest.raises(UserError, match="an encoder without classes"):
        ipse.distill("bare", "photos", out="x", **FEW)
    assert not Path("x").exists()


def test_an_optimizer_with_gradients_per_term(folder: Path) -> None:
    run = ipse.distill("teacher", "photos", optimizer="dot", lr=0.01, out="dot", **FEW)
    lines = [line for line in run.history() if "loss" in line]
    assert all(line["task"] + line["distillation"] == pytest.approx(line["loss"], rel=1e-4) for line in lines)


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_and_resumed_it_is_shown_again(folder: Path) -> None:
    words = {**FEW, "optimizer": "dot", "lr": 0.01}
    one = ipse.distill("teacher", "photos", out="one", **words)
    two = ipse.distill("teacher", "photos", out="two", devices=2, **words)
    losses = [[line["loss"] for line in run.history() if "loss" in line] for run in (one, two)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)
    assert ipse.distill(resume="two", quiet=True).evaluation == two.evaluation
    with pytest.raises(UserError, match="that run has another teacher"):
        ipse.distill("run", resume="two")
