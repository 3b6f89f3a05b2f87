"""Every job on recordings, series and tables, from files as they come, with nothing said about what they are."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from safetensors.torch import load_file

import ipse
from ipse.callbacks import JsonLog
from ipse.cli import main
from ipse.errors import Interrupted, UserError

Make = Callable[[Path], Path]


def recordings(folder: Path, n: int = 12, seconds: tuple[float, float] = (0.3, 0.5)) -> Path:
    """High and low tones in noise, as .wav and .flac in a folder for each class."""
    rng = np.random.default_rng(0)
    for i in range(n):
        time = np.arange(int(16_000 * rng.uniform(*seconds))) / 16_000
        wave = np.sin(2 * np.pi * (200, 900)[i % 2] * rng.uniform(0.8, 1.2) * time) / 2 + rng.normal(0, 0.02, len(time))
        path = folder / "recordings" / ("low", "high")[i % 2] / f"{i:02}.{'flac' if i % 3 else 'wav'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, wave, 16_000)
    return folder / "recordings"


def sensors(folder: Path, n: int = 300, channels: int = 4) -> Path:
    rng = np.random.default_rng(0)
    time = np.arange(n) / 2
    waves = {f"sensor {k}": np.sin(time * (k + 1) / 3) + rng.normal(0, 0.1, n) for k in range(channels)}
    pd.DataFrame({"time": time, **waves}).to_csv(folder / "sensors.csv", index=False)
    return folder / "sensors.csv"


def trials(folder: Path, n: int = 12, longest: int = 30) -> Path:
    """Series of different lengths below each other, with a label each."""
    rng = np.random.default_rng(0)
    rows = [
        (trial, step, np.sin(step / 3 + trial), np.cos(step / (2 + trial % 2)), "ab"[trial % 2])
        for trial in range(n)
        for step in range(rng.integers(2 * longest // 3, longest))
    ]
    pd.DataFrame(rows, columns=["id", "time", "value", "other", "label"]).to_csv(folder / "trials.csv", index=False)
    return folder / "trials.csv"


def customers(folder: Path, n: int = 40) -> Path:
    """Numbers, texts, truths, dates and gaps, with labels."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.normal(40, 10, n), "income": rng.lognormal(10, 1, n)})
    frame["colour"] = rng.choice(["red", "green", None], n)
    frame["member"] = rng.random(n) < 0.5
    frame["since"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 999, n), "D")
    frame.loc[::6, "age"] = np.nan
    frame["label"] = np.where(frame.member, "yes", "no")
    frame.to_parquet(folder / "customers.parquet")
    return folder / "customers.parquet"


def command(*words: object) -> None:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert end.value.code == 0


class Kind(NamedTuple):
    """Data as a file, what it is recognised as, a method for all data, and one for this."""

    make: Make
    modality: str
    free: str
    own: str


KINDS = {
    "recordings": Kind(recordings, "audio", "barlow-twins", "vq-apc"),
    "sensors": Kind(sensors, "series", "dcl", "timedrl"),
    "devices": Kind(sensors, "series", "collossl", "collossl"),
    "trials": Kind(trials, "series", "simclr", "patchtst"),
    "customers": Kind(customers, "table", "moco-v3", "t-jepa"),
}


class Learned(NamedTuple):
    folder: Path
    kind: Kind
    run: ipse.Run

    @property
    def data(self) -> Path:
        return next(path for path in self.folder.iterdir() if path.name != "run")


@pytest.fixture(scope="module", params=KINDS)
def learned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Learned:
    """A run of three steps from the command line, with the data and the method and nothing else said."""
    kind = KINDS[request.param]
    folder = tmp_path_factory.mktemp("kinds")
    command("pretrain", kind.make(folder), "--method", kind.free, "--steps", 3, "--out", folder / "run", "--no-tensorboard")
    return Learned(folder, kind, ipse.Run.open(folder / "run"))


def test_the_folder_of_a_run(learned: Learned) -> None:
    run = learned.run
    assert {p.name for p in run.path.iterdir()} == {
        "config.yaml",
        "encoder.safetensors",
        "encoder.json",
        "metrics.jsonl",
        "state",
        "report.html",
    }
    assert run.config["modality"] == run.encoder.form["modality"] == learned.kind.modality
    assert np.isfinite([line["loss"] for line in run.history() if "loss" in line]).all()
    assert np.isfinite(list(run.evaluation.values())).all()
    assert ("knn" in run.evaluation) == (learned.data.name != "sensors.csv")


def test_the_jobs_after_it(learned: Learned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run, data = learned.run.path, learned.data
    command("evaluate", run, "--json", "own.json")
    numbers = json.loads(Path("own.json").read_text())["metrics"]
    assert {"rankme", "alignment"} <= numbers.keys()
    command("embed", run, data, "--out", "z.parquet")
    table = pd.read_parquet("z.parquet")
    assert len(table) == learned.run.config["samples"]
    assert set(table["label"]) == (set(learned.run.data().classes) or {""})
    z = np.stack(table["z"])
    np.testing.assert_allclose(z, learned.run.embed(data), atol=1e-5)
    command("export", run, "--format", "safetensors", "--out", "x.safetensors")
    x = torch.randn(3, *ipse.data.form.shape(learned.run.encoder.form))
    with torch.no_grad():
        torch.testing.assert_close(ipse.load("x.safetensors")(x), learned.run.encoder(x))
    command("report", run, "--out", "page.html")
    page = Path("page.html").read_text()
    assert {"audio": "data:audio/", "series": "<svg", "table": 'href="#columns"'}[learned.kind.modality] in page


@pytest.mark.slow
def test_the_same_in_onnx(learned: Learned, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    path = ipse.export(learned.run, format="onnx", out=tmp_path / "encoder.onnx")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,), (made,) = session.get_inputs(), session.get_outputs()
    encoder = learned.run.encoder
    assert (given.name, given.shape[1:]) == (learned.kind.modality, list(ipse.data.form.shape(encoder.form)))
    assert (made.name, made.shape[1:]) == ("embedding", [encoder.dim])
    assert json.loads(session.get_modelmeta().custom_metadata_map["ipse"])["form"] == encoder.form
    from ipse.transforms import viewer

    x = viewer(encoder.form).original(learned.run.data().train.read(np.arange(5))).x
    x[3].view(-1)[-2:] = torch.nan
    for n in (1, 5):
        with torch.no_grad():
            np.testing.assert_allclose(
                session.run(None, {given.name: x[:n].numpy()})[0], encoder(x[:n]).numpy(), atol=1e-4, rtol=1e-4
            )


@pytest.mark.parametrize("kind", KINDS)
def test_a_method_of_its_own(kind: str, tmp_path: Path) -> None:
    data = KINDS[kind].make(tmp_path)
    run = ipse.pretrain(data, method=KINDS[kind].own, steps=2, batch_size=4, out=tmp_path / "run", quiet=True)
    assert np.isfinite(run.embed(data)).all()
    assert run.report.exists()


def test_recordings_of_other_lengths(tmp_path: Path) -> None:
    run = ipse.pretrain(recordings(tmp_path), steps=2, batch_size=4, size=0.4, out=tmp_path / "run", quiet=True)
    other = recordings(tmp_path / "other", 6, (1.2, 1.5))  # three windows and more
    short = recordings(tmp_path / "short", 6, (0.1, 0.2))
    assert len(run.embed(short)) == 6
    assert len(run.embed(other)) > 12
    path = ipse.embed(run, other, out=tmp_path / "z.npz")
    with np.load(path) as file:
        assert np.isfinite(file["z"]).all()
        assert "high/01.flac#0.4s" in file["name"]


def test_series_of_other_lengths_and_channels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ipse.pretrain(trials(tmp_path), steps=2, batch_size=4, out=tmp_path / "run", quiet=True)
    before = run.embed(tmp_path / "trials.csv")
    frame = pd.read_csv(tmp_path / "trials.csv")
    frame[["label", "other", "time", "value", "id"]].assign(more=frame["time"] / 7).to_csv(tmp_path / "turned.csv", index=False)
    np.testing.assert_allclose(run.embed(tmp_path / "turned.csv"), before, atol=1e-5)
    assert "more (not known to the model: left out)" in capsys.readouterr().err
    frame.drop(columns="other").to_csv(tmp_path / "less.csv", index=False)
    less = run.embed(tmp_path / "less.csv")
    assert np.isfinite(less).all()
    assert not np.allclose(less, before)
    assert "other (not in the data: taken as missing)" in capsys.readouterr().err
    (tmp_path / "long").mkdir()
    assert len(run.embed(trials(tmp_path / "long", 3, 120))) > 6
    frame.rename(columns={"value": "a", "other": "b"}).assign(c=1.0 * frame["time"] % 3).to_csv(
        tmp_path / "none.csv", index=False
    )
    with pytest.raises(UserError, match="none of the channels that are needed: expected value, other, got a, b, c"):
        run.embed(tmp_path / "none.csv")


def test_the_encoder_of_one_device_is_shown_what_that_device_records(tmp_path: Path) -> None:
    data = sensors(tmp_path)
    words: dict[str, Any] = {"steps": 2, "batch_size": 4, "watch": ["rankme"], "set": {"anchor": 1}, "quiet": True}
    run = ipse.pretrain(data, method="collossl", out=tmp_path / "run", **words)
    assert run.encoder.form["names"] == ["sensor 2", "sensor 3"]
    assert all(np.isfinite(line["watch/rankme"]) for line in run.history() if "loss" in line)
    again = ipse.evaluate(run, metrics=list(run.evaluation), quiet=True)  # of that device's channels alone
    assert again == pytest.approx(run.evaluation, rel=1e-4)
    pd.read_csv(data).drop(columns=["sensor 0", "sensor 1"]).to_csv(tmp_path / "own.csv", index=False)
    z, opened = run.embed(tmp_path / "own.csv"), ipse.data.open_data(data)
    np.testing.assert_allclose(run.embed(opened), z, atol=1e-5)
    np.testing.assert_allclose(run.embed(data), z, atol=1e-5)
    other = pd.read_csv(data).rename(columns={"sensor 2": "heart"})
    with pytest.raises(UserError, match=r"the data has 4 channel\(s\), the encoder was made for 2"):
        run.embed(ipse.data.open_data(other))


def test_tables_with_other_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ipse.pretrain(customers(tmp_path), steps=2, batch_size=8, out=tmp_path / "run", quiet=True)
    frame = pd.read_parquet(tmp_path / "customers.parquet")
    before = run.embed(tmp_path / "customers.parquet")
    np.testing.assert_allclose(run.embed(frame[frame.columns[::-1]].assign(shoe=42.0)), before, atol=1e-5)
    assert "column shoe (not known to the model: left out)" in capsys.readouterr().err
    np.testing.assert_allclose(run.embed(frame.drop(columns="colour")), run.embed(frame.assign(colour=None)), atol=1e-5)
    assert "column colour (not in the data: taken as missing)" in capsys.readouterr().err
    np.testing.assert_allclose(run.embed(frame[:3]), before[:3], atol=1e-5)  # in the scales that were learned, not its own
    strange = frame.assign(colour="mauve", age="forty")
    np.testing.assert_allclose(run.embed(strange), run.embed(frame.assign(colour=None, age=None)), atol=1e-5)
    with pytest.raises(UserError, match="none of the columns that are needed"):
        run.embed(pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]}))


def test_what_it_is_can_be_said(tmp_path: Path) -> None:
    words: dict[str, Any] = {"steps": 1, "batch_size": 4, "quiet": True}
    run = ipse.pretrain(sensors(tmp_path, 40), modality="table", out=tmp_path / "rows", **words)
    assert (run.config["modality"], run.config["samples"]) == ("table", 40)
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)).cumsum(0), columns=list("abc"))
    frame.to_parquet(tmp_path / "steps.parquet")
    assert ipse.pretrain(frame, out=tmp_path / "table", **words).config["modality"] == "table"
    run = ipse.pretrain(tmp_path / "steps.parquet", modality="series", size=10, out=tmp_path / "series", **words)
    assert (run.config["modality"], run.config["samples"], run.encoder.form["length"]) == ("series", 6, 10)
    waves = np.random.default_rng(0).normal(0, 0.1, (4, 4000)).astype(np.float32)
    run = ipse.pretrain(waves, modality="audio", out=tmp_path / "audio", **words)
    assert (run.config["modality"], run.config["samples"]) == ("audio", 4)
    with pytest.raises(UserError, match="no table data in"):
        ipse.pretrain(recordings(tmp_path), modality="table", out=tmp_path / "none", **words)
    with pytest.raises(UserError, match="vq-apc is for audio data"):
        ipse.pretrain(tmp_path / "steps.parquet", method="vq-apc", out=tmp_path / "none", **words)
    assert not (tmp_path / "none").exists()


def same_bits(a: ipse.Run, b: ipse.Run) -> bool:
    one, other = (load_file(run.path / "encoder.safetensors") for run in (a, b))
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize(
    ("kind", "method", "settings", "after"),
    [
        ("recordings", "hubert", {"clusters": [8, 6]}, 1),  # in the first of two rounds
        ("recordings", "hubert", {"clusters": [8, 6]}, 3),
        ("sensors", "timedrl", {}, 3),
        ("devices", "collossl", {"anchor": 1}, 3),
        ("customers", "t-jepa", {}, 3),
    ],
)
def test_a_stopped_run_goes_on_to_the_same_bits(
    kind: str, method: str, settings: dict[str, Any], after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words: dict[str, Any] = {"method": method, "set": settings, "steps": 5, "batch_size": 4, "quiet": True}
    data = KINDS[kind].make(tmp_path)
    whole = ipse.pretrain(data, out=tmp_path / "whole", **words)
    record = JsonLog.record

    def stop(self: JsonLog, method: torch.nn.Module, line: dict[str, Any]) -> None:
        record(self, method, line)
        if line["step"] == after:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(JsonLog, "record", stop)
        with pytest.raises(Interrupted):
            ipse.pretrain(data, out=tmp_path / "stopped", **words)
    stopped = ipse.Run.open(tmp_path / "stopped")
    assert [line["step"] for line in stopped.history()] == list(range(after + 1))
    assert same_bits(whole, ipse.pretrain(data, resume=stopped, quiet=True))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_learn_what_one_learns(kind: str, tmp_path: Path) -> None:
    data = KINDS[kind].make(tmp_path)
    words: dict[str, Any] = {"method": KINDS[kind].free, "steps": 3, "batch_size": 8, "quiet": True}
    one, two = (
        [line["loss"] for line in ipse.pretrain(data, out=tmp_path / str(n), devices=n, **words).history() if "loss" in line]
        for n in (1, 2)
    )
    assert two[0] == pytest.approx(one[0], rel=1e-4)
    assert two == pytest.approx(one, rel=1e-2)
