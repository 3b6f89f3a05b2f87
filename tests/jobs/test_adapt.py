"""The job: a stream's answers, table, report and state; resumed streams; what does not fit, named."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import ipse
from ipse import models, training
from ipse.errors import Interrupted, UserError
from ipse.jobs.adapting import stream


@pytest.fixture(scope="module")
def model(pictures: np.ndarray, labels: np.ndarray) -> models.Classifier:
    """Tells the two photos apart after a few steps."""
    from ipse.data import form

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = models.Classifier(models.create("small_conv", form.image(3, 16), widths=(8, 16, 16)), ["china", "flower"])
        x, y = torch.tensor(pictures).float() / 127.5 - 1, torch.tensor(labels)
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for i in range(30):
            part = slice(20 * i % 100, 20 * i % 100 + 20)
            loss = nn.functional.cross_entropy(model(x[part]), y[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval()


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(model: models.Classifier, photos: Path) -> Path:
    folder = Path("classes")
    folder.mkdir()
    models.save_classifier(model, folder)
    words = dict.fromkeys(("labels", "size", "data_key", "samples", "modality"))
    text = "\n".join(
        f"{k}: {json.dumps(v)}" for k, v in (words | {"command": "", "method": "supervised", "encoder": "small_conv"}).items()
    )
    (folder / "config.yaml").write_text(f"{text}\ndata: {photos}\nwords: {{}}\n")
    return folder


def test_files_and_table(run: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = ipse.adapt(
        str(run), str(photos), method="tent", batch_size=16, corrupt=["fog", "jpeg"], severity=2, out="o", json="n.json"
    )
    rows = list(csv.DictReader(Path("o/predictions.csv").read_text().splitlines()))
    assert len(rows) == 160
    assert list(rows[0]) == ["name", "segment", "prediction", "confidence", "source", "label", "answered_by"]
    wrong = np.mean([row["prediction"] != row["label"] for row in rows])
    assert result.error["tent"] == pytest.approx(wrong)
    assert set(result.error) == {"source", "bn-adapt", "tent"}
    numbers = json.loads(Path("n.json").read_text())
    assert [segment["segment"] for segment in numbers["segments"]] == ["fog", "jpeg"]
    assert numbers["command"].startswith(f"ipse adapt {run} {photos} --method tent")
    page = Path("o/report.html").read_text()
    assert "agreement with the source" in page
    out = capsys.readouterr().out
    assert "bn-adapt" in out
    assert "fog" in out


def test_a_method_that_needs_the_source_finds_the_runs_own(run: Path, photos: Path) -> None:
    words = {"method": "rmt-tta", "set": {"width": 8}, "batch_size": 40, "quiet": True}
    result = ipse.adapt(str(run), str(photos), **words)
    assert result.path == Path("runs/rmt-tta-photos")
    assert len(result.prediction) == 80
    with pytest.raises(UserError, match="--source"):
        ipse.adapt(result.adapter.source, str(photos), **words)


def test_a_stopped_stream_goes_on_with_the_same_bits(run: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = {"method": "tent", "batch_size": 16, "set": {"lr": 0.01}, "corrupt": "fog,contrast", "quiet": True}
    whole = ipse.adapt(str(run), str(photos), **words, out="whole")

    class Stops(training.interrupt.Interruption):
        count = 0

        @property
        def asked(self) -> int:
            Stops.count += 1
            return 15 if Stops.count == 7 else 0

        @asked.setter
        def asked(self, value: int) -> None: ...

    with monkeypatch.context() as patch:
        patch.setattr(stream, "Interruption", Stops)
        with pytest.raises(Interrupted):
            ipse.adapt(str(run), str(photos), **words, out="parts")
    rest = ipse.adapt(str(run), str(photos), **words, state="parts")
    assert Path("parts/predictions.csv").read_bytes() == Path("whole/predictions.csv").read_bytes()
    one, two = whole.adapter.state_dict(), rest.adapter.state_dict()
    assert all(torch.equal(one[k], two[k]) for k in one)
    again = ipse.adapt(str(run), str(photos), **words, state="parts", out="next")  # the next stream, from there
    assert int(again.adapter.counts[0]) == 2 * int(whole.adapter.counts[0])
    with pytest.raises(UserError, match="of another method tent"):
        ipse.adapt(str(run), str(photos), method="bn-adapt", state="parts")


def test_gradual_limits_passes_and_resets(run: Path, photos: Path) -> None:
    words = {"batch_size": 8, "quiet": True, "limit": 40}
    result = ipse.adapt(
        str(run), str(photos), method="rpl-self-learning", corrupt=["contrast"], severity=3, gradual=True, **words
    )
    assert [row["segment"] for row in result.segments] == [f"contrast {s}" for s in (1, 2, 3, 2, 1)]
    assert sum(row["samples"] for row in result.segments) == 40
    twice = ipse.adapt(str(run), str(photos), method="rpl-self-learning", passes=2, reset="segment", **words)
    assert len(twice.prediction) == 40
    ipse.adapt(str(run), str(photos), method="tent", reset="batch", **words)


def test_without_labels(run: Path, pictures: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    result = ipse.adapt(str(run), pictures[:40], method="tent", batch_size=20)
    assert result.error == {}
    assert "entropy" in capsys.readouterr().out


def test_a_bare_module_and_the_adapter_alone(model: models.Classifier, pictures: np.ndarray) -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
    )
    result = ipse.adapt(net, pictures[:64], method="tent", quiet=True)
    assert result.prediction.max() <= 2
    x = torch.tensor(pictures[:40]).float() / 127.5 - 1
    adapter = ipse.adapt(model, method="rmt-tta", source=(x, torch.arange(40) % 2), set={"width": 8})
    assert adapter(x).shape == (40, 2)
    assert ipse.adapt(model, method="tent", episodic=True).adapter.episodic


def test_classes_that_do_not_fit_are_named(
    run: Path, model: models.Classifier, pictures: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="china, flower, and .* has cat, dog: no class in common"):
        ipse.adapt(str(run), (pictures[:40], np.array(["cat", "dog"] * 20)), method="tent")
    result = ipse.adapt(str(run), (pictures[:40], np.array(["china", "owl"] * 20)), method="tent", quiet=True)
    assert "does not know owl" in capsys.readouterr().err
    assert sum(row["judged"] for row in result.segments) == 20
    net = nn.Sequential(nn.Flatten(), nn.Linear(768, 2))
    with pytest.raises(UserError, match="scores of 2 classes, and the stream has 3"):
        ipse.adapt(net, (pictures[:40], np.arange(40) % 3), method="source")
    with pytest.raises(UserError, match="cannot look at samples"):
        ipse.adapt(nn.Linear(5, 2), pictures[:40], method="source")


def test_an_adapter_that_did_harm_by_the_labels_is_said_and_starts_over(
    model: models.Classifier, pictures: np.ndarray, labels: np.ndarray
) -> None:
    result = ipse.adapt(model, (pictures, labels), method="tent", set={"lr": 5.0}, guard=False, quiet=True)
    if result.error["tent"] > result.error["source"] + 0.05:
        assert "points worse" in result.events[-1]
        fresh = ipse.adapt(model, method="tent", set={"lr": 5.0})
        moved = dict(result.adapter.adapter.model.named_parameters())
        assert all(torch.equal(moved[n], p) for n, p in fresh.adapter.model.named_parameters())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"method": "tnet"}, "did you mean 'tent'"),
        ({"method": "tent", "set": {"lrr": 1}}, "did you mean 'lr'"),
        ({"method": "tent", "corrupt": ["fogg"]}, "did you mean 'fog'"),
        ({"method": "tent", "severity": 9, "corrupt": ["fog"]}, "1 to 5, not 9"),
        ({"method": "tent", "batch_size": 0}, "--batch-size must be at least 1"),
        ({"method": "tent", "margin": 2.0}, "--margin"),
        ({"method": "ttt-rotation"}, "joint-rotation"),
    ],
)
def test_mistakes(model: models.Classifier, pictures: np.ndarray, words: dict[str, object], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        ipse.adapt(model, pictures[:20], **words)
    assert not Path("runs").exists()


def test_models_that_are_none() -> None:
    with pytest.raises(UserError, match="no run 'nothing'"):
        ipse.adapt("nothing", method="tent")
    with pytest.raises(UserError, match="not int"):
        ipse.adapt(3, method="tent")
