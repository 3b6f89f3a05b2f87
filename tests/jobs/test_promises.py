"""The promises: the same bits again, after a kill too; two processes as one; nothing lost, nothing half-written."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import ipse as package
from ipse.errors import UserError
from ipse.methods.pretrain.simclr import SimCLR
from ipse.training import Batch, Step

STEPS = 24


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "encoder.safetensors")


def assert_same_bits(a: Path, b: Path) -> None:
    one, other = weights(a), weights(b)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[k], other[k]) for k in one)


def numbers(run: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "samples_per_second")} for line in lines]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, pictures: np.ndarray, labels: np.ndarray) -> Path:
    path = tmp_path_factory.mktemp("promises") / "data.npz"
    np.savez(path, x=pictures, y=labels)
    return path


@pytest.fixture(scope="module")
def words(data: Path) -> list[object]:
    return [
        "pretrain",
        data,
        "--method",
        "tribyol",
        "--set",
        "hidden=64",
        "width=16",
        "--steps",
        STEPS,
        "--batch-size",
        16,
        "--plus",
        "ldreg",
        "--watch",
        "rankme",
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, words: list[object]) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    command = [sys.executable, "-m", "ipse", *map(str, words), "--out", str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=240)
    return folder


def test_a_run_is_a_folder_of_plain_files(whole: Path) -> None:
    names = {p.name for p in whole.iterdir()}
    assert names >= {"config.yaml", "encoder.safetensors", "encoder.json", "metrics.jsonl", "state", "report.html"}
    assert not [p for p in whole.rglob("*") if "part" in p.name or p.suffix in (".pt", ".pkl", ".ckpt")]
    last = numbers(whole)[-1]
    assert {"knn", "linear", "rankme"} <= last["evaluation"].keys()


def test_the_same_command_gives_the_same_bits(ipse, words, whole: Path, tmp_path: Path) -> None:
    ipse(*words, "--out", tmp_path / "again").check_returncode()
    assert_same_bits(whole, tmp_path / "again")
    assert numbers(whole) == numbers(tmp_path / "again")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_stopped_run_goes_on_to_the_same_bits(ipse, words, whole: Path, tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "stopped"
    command = [sys.executable, "-m", "ipse", *map(str, words), "--out", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    log = folder / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (log.exists() and len(log.read_text().splitlines()) > 5):
        time.sleep(0.05)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    if number != signal.SIGKILL:
        assert error.strip().splitlines()[-1].startswith("ipse: stopped and saved; go on with: ipse pretrain --resume")
    ipse("pretrain", "--resume", folder).check_returncode()
    assert_same_bits(whole, folder)
    assert numbers(whole) == numbers(folder)


def test_two_processes_learn_what_one_learns(ipse, data: Path, tmp_path: Path) -> None:
    words = ["pretrain", data, "--method", "simclr", "--set", "hidden=64", "width=16", "--steps", 8, "--batch-size", 32]
    ipse(*words, "--out", tmp_path / "one").check_returncode()
    result = ipse(*words, "--out", tmp_path / "two", "--devices", 2)
    assert result.returncode == 0, result.stderr
    one, two = ([line["loss"] for line in numbers(tmp_path / name) if "loss" in line] for name in ("one", "two"))
    assert two[0] == pytest.approx(one[0], rel=1e-5)
    assert two == pytest.approx(one, rel=1e-2)  # each step multiplies what rounding left of the last


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a compiler")
def test_a_compiled_encoder_learns_the_same(ipse, data: Path, tmp_path: Path) -> None:
    words = ["pretrain", data, "--set", "hidden=64", "width=16", "--steps", 4, "--batch-size", 32]
    ipse(*words, "--out", tmp_path / "plain").check_returncode()
    result = ipse(*words, "--out", tmp_path / "compiled", "--compile")
    assert result.returncode == 0, result.stderr
    one, two = ([line["loss"] for line in numbers(tmp_path / name) if "loss" in line] for name in ("plain", "compiled"))
    assert two == pytest.approx(one, rel=1e-2)
    assert weights(tmp_path / "compiled").keys() == weights(tmp_path / "plain").keys()


def test_resuming_a_finished_run_shows_it_again(ipse, whole: Path) -> None:
    before = (whole / "encoder.safetensors").read_bytes()
    result = ipse("pretrain", "--resume", whole)
    assert result.returncode == 0
    assert "linear" in result.stdout
    assert (whole / "encoder.safetensors").read_bytes() == before


@pytest.fixture
def unfinished(whole: Path, tmp_path: Path) -> Path:
    """A copy of a run that has not been judged yet."""
    folder = shutil.copytree(whole, tmp_path / "unfinished")
    lines = [line for line in (folder / "metrics.jsonl").read_text().splitlines() if "evaluation" not in line]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def complaint(result: subprocess.CompletedProcess[str]) -> str:
    """The one line of a user's mistake."""
    assert result.returncode == 2, result.stderr
    lines = result.stderr.strip().splitlines()
    assert lines[-1].startswith("ipse: error: ")
    assert "Traceback" not in result.stderr
    return lines[-1]


def test_a_truncated_state_is_named(ipse, unfinished: Path) -> None:
    state = unfinished / "state" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-100])
    assert "is damaged" in complaint(ipse("pretrain", "--resume", unfinished))


def test_a_tampered_state_is_named(ipse, unfinished: Path) -> None:
    state = unfinished / "state" / "state.safetensors"
    content = bytearray(state.read_bytes())
    content[-50] ^= 1
    state.write_bytes(bytes(content))
    assert "was altered" in complaint(ipse("pretrain", "--resume", unfinished))


def test_resuming_with_another_method_is_refused(ipse, unfinished: Path) -> None:
    text = complaint(ipse("pretrain", "--resume", unfinished, "--method", "dcl"))
    assert "--method" in text
    assert "dcl" in text


def test_resuming_with_other_data_is_refused(ipse, unfinished: Path, data: Path, tmp_path: Path, pictures: np.ndarray) -> None:
    np.savez(tmp_path / "other.npz", x=pictures[:100])
    assert "not the same" in complaint(ipse("pretrain", tmp_path / "other.npz", "--resume", unfinished))


def test_a_full_disk_loses_nothing(tmp_path: Path, pictures: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    from ipse.training import state

    path = tmp_path / "state.safetensors"
    state.write(state.State({"a": torch.ones(3)}, {"step": 1}), path)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state, "write_tensors", full)
    with pytest.raises(UserError, match="no space left"):
        state.write(state.State({"a": torch.zeros(3)}, {"step": 2}), path)
    assert state.read(path).facts == {"step": 1}
    assert os.listdir(tmp_path) == ["state.safetensors"]


def test_a_diverging_run_is_rolled_back(tmp_path: Path, pictures: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    healthy = SimCLR.loss

    def poisoned(self: SimCLR, batch: Batch) -> Step:
        step = healthy(self, batch)
        return replace(step, loss=step.loss * (float("nan") if batch.step == 12 else 1.0))

    monkeypatch.setattr(SimCLR, "loss", poisoned)
    run = package.pretrain(pictures, steps=40, batch_size=16, set={"hidden": 32}, out=tmp_path / "run", quiet=True)
    (event,) = [line for line in run.history() if "event" in line]
    assert event["step"] == 12
    assert "rolled back to step 12, learning rate halved" in event["event"]
    rates = {line["step"]: line["lr"] for line in run.history() if "lr" in line}
    assert rates[13] < 0.6 * rates[11]
    assert all(torch.isfinite(v).all() for v in weights(run.path).values() if v.is_floating_point())


def test_a_run_that_only_diverges_says_so(tmp_path: Path, pictures: np.ndarray) -> None:
    with pytest.raises(UserError, match="smaller --lr"):
        package.pretrain(
            pictures, steps=60, batch_size=16, optimizer="sgd", lr=1e30, set={"hidden": 32}, out=tmp_path / "run", quiet=True
        )
