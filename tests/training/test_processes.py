"""Processes that `torchrun` starts do together what one process does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ipse.training.precision import choose


def losses(run: Path) -> list[float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def torchrun(folder: Path, *words: object, processes: int = 2) -> subprocess.CompletedProcess[str]:
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m", "ipse"]
    command = [sys.executable, *start, *map(str, words)]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=240, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


def test_torchrun(ipse, tmp_path: Path, pictures: np.ndarray, labels: np.ndarray) -> None:
    np.savez(tmp_path / "data.npz", x=pictures, y=labels)
    words = ["pretrain", "data.npz", "--set", "hidden=64", "width=16", "--steps", 4, "--batch-size", 32]
    ipse(*words, "--out", "one").check_returncode()
    result = torchrun(tmp_path, *words, "--out", "two")
    assert result.returncode == 0, result.stderr
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-3)
    assert result.stdout.count("report:") == 1  # the first process alone judges and speaks
    assert {p.name for p in (tmp_path / "two").iterdir()} == {p.name for p in (tmp_path / "one").iterdir()}
    again = torchrun(tmp_path, "pretrain", "--resume", "two")  # has ended: shown again, and nobody waits
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("report:") == 1


def test_torchrun_with_a_mistake_of_the_users(tmp_path: Path) -> None:
    result = torchrun(tmp_path, "pretrain", "digits", "--method", "simclt")
    assert result.returncode != 0
    assert "ipse: error: unknown method 'simclt': did you mean 'simclr'?" in result.stderr


def test_precision() -> None:
    assert choose("bf16", "cpu") == "bf16"
    assert choose("auto", "cpu") in ("fp32", "bf16")
