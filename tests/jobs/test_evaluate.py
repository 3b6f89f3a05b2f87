"""Judging a run, other data, or a timm model."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import ipse
from ipse import models
from ipse.data import open_data
from ipse.errors import UserError
from ipse.jobs import evaluate as jobs
from ipse.jobs.evaluate import parts
from ipse.jobs.measures import MEANINGS
from ipse.jobs.run import Run
from ipse.metrics.neighbours import knn_accuracy
from ipse.metrics.rank import rankme

USUAL = [name for name, meaning in MEANINGS.items() if meaning.usual and not meaning.modality]


def test_a_run_on_its_own_data(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = ipse.evaluate("run")
    assert list(numbers) == USUAL
    assert numbers == pytest.approx(run.evaluation)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == USUAL
    assert f"{numbers['knn']:.1%}" in lines[0]


def test_the_numbers_are_those_of_the_measures(run: Run) -> None:
    train, test = parts(open_data("photos", form=run.encoder.form))
    assert (len(train), len(test)) == (64, 16)
    with torch.no_grad():
        z, z_test = (run.encoder(torch.tensor(part.x) / 127.5 - 1) for part in (train, test))
    numbers = ipse.evaluate("run", "photos", metrics="rankme,knn", quiet=True)
    assert list(numbers) == ["rankme", "knn"]
    assert numbers["rankme"] == pytest.approx(rankme(torch.cat([z, z_test])), rel=1e-4)
    assert numbers["knn"] == knn_accuracy(z, torch.tensor(train.y), z_test, torch.tensor(test.y))


def test_json_and_quiet(run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "numbers", lambda words, *_, **__: dict.fromkeys(words, 0.5) | {"rankme": float("nan")})
    ipse.evaluate("run", metrics=["knn", "rankme"], json="new/numbers.json", quiet=True)
    assert capsys.readouterr().out == ""
    content = json.loads(Path("new/numbers.json").read_text(), parse_constant=pytest.fail)
    assert content == {"run": "run", "data": "photos", "metrics": {"knn": 0.5, "rankme": None}}


def test_where_the_json_cannot_be_written_nothing_is_measured(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "measure", lambda *_, **__: pytest.fail("measured"))
    with pytest.raises(UserError, match="cannot write"):
        ipse.evaluate("run", json="photos/china/000.png/numbers.json")


def test_data_with_a_test_part(run: Run, pictures: np.ndarray, labels: np.ndarray) -> None:
    os.mkdir("both")
    for name, of in (("train", slice(0, 60)), ("test", slice(60, 100))):
        np.savez(f"both/{name}.npz", x=pictures[of], y=labels[of], classes=["china", "flower"])
    train, test = parts(open_data("both", size=16))
    assert (len(train), len(test)) == (60, 40)
    assert set(ipse.evaluate("run", "both", quiet=True)) == set(USUAL)


def test_labels_that_are_partly_empty(run: Run) -> None:
    names = sorted(p.relative_to("photos").as_posix() for p in Path("photos").rglob("*.png"))
    rows = [f"{name},{name.partition('/')[0] if i % 4 == 0 else ''}" for i, name in enumerate(names)]
    Path("few.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    train, test = parts(open_data("photos", labels="few.csv", size=16))
    assert (int((train.y >= 0).sum()), int((test.y >= 0).sum())) == (16, 4)
    for data in (None, "photos"):  # the run's own data takes other labels too
        numbers = ipse.evaluate("run", data, labels="few.csv", metrics=["knn", "linear"], quiet=True)
        assert numbers["knn"] in (0, 0.25, 0.5, 0.75, 1)


@pytest.mark.parametrize(
    ("y", "y_test", "expected"),
    [
        (None, None, "needs labels, and array has none;"),
        ([0] * 20, None, "has one class only"),
        ([0, 1] * 10, [-1] * 5, "has none in its test part"),
    ],
)
def test_labels_that_will_not_do(
    run: Run, pictures: np.ndarray, y: list[int] | None, y_test: list[int] | None, expected: str
) -> None:
    data = pictures[:20] if y is None else (pictures[:20], np.array(y))
    if y_test is not None:
        os.mkdir("data")
        np.savez("data/train.npz", x=pictures[:20], y=np.array(y))
        np.savez("data/test.npz", x=pictures[:5], y=np.array(y_test))
        data = "data"
    with pytest.raises(UserError, match=expected) as refusal:
        ipse.evaluate("run", data, metrics="rankme,knn,linear", quiet=True)
    assert str(refusal.value).startswith("--metrics knn,linear: ")
    assert list(ipse.evaluate("run", data, quiet=True)) == ["rankme", "effective-dimension", "alignment", "uniformity"]


def test_as_many_classes_as_samples_are_split_too(pictures: np.ndarray) -> None:
    train, test = parts(open_data((pictures[:10], np.arange(10)), size=16))
    assert (len(train), len(test)) == (8, 2)
    train, test = parts(open_data(pictures[:1], size=16))
    assert (len(train), len(test)) == (1, 1)


@pytest.mark.parametrize(
    ("run_word", "data", "words", "expected"),
    [
        ("run", None, {"metrics": "rankmi"}, "unknown metric 'rankmi': did you mean 'rankme'"),
        ("run", "digits", {}, r"the data has 1 channel\(s\), the encoder was made for 3"),
        ("run", "photos", {"labels": "none.csv"}, "none.csv"),
        ("runs/none", "photos", {}, "no run 'runs/none': there is no such folder"),
        ("photos", "photos", {}, "'photos' is no run: it has no config.yaml"),
        ("resnet19", "photos", {}, "no run 'resnet19': there is no such folder, .*did you mean 'resnet18"),
        ("small_conv", "photos", {}, "an encoder without weights"),
        ("resnet18", None, {}, "name the data to judge resnet18 on"),
    ],
)
def test_mistakes(run: Run, run_word: str, data: str | None, words: dict[str, str], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        ipse.evaluate(run_word, data, **words)


def test_a_timm_model_with_weights_that_are_here(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    create, asked = timm.create_model, []

    def local(name: str, pretrained: bool = False, **options: object) -> torch.nn.Module:
        asked.append(pretrained)
        return create(name, **options)

    monkeypatch.setattr(timm, "create_model", local)
    monkeypatch.setattr(models.timm_door.timm, "create_model", local)
    assert set(ipse.evaluate("test_resnet", "photos", metrics="rankme,knn", quiet=True)) == {"rankme", "knn"}
    assert asked
    assert all(asked)


def test_weights_that_cannot_be_fetched_are_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    def offline(*_: object, **__: object) -> None:
        raise OSError("We couldn't connect to the hub\nand there is no such file in the cache")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(UserError, match="test_resnet") as error:
        ipse.evaluate("test_resnet", "photos")
    assert len(str(error.value).splitlines()) == 1
