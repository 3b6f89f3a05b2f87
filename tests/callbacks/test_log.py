"""Logs: every line whole, resumed runs without a trace of what they take again, and what TensorBoard reads."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from ipse.callbacks import JsonLog, TensorBoardLog, read_history
from ipse.errors import UserError

METHOD = nn.Identity()


def record(step: int) -> dict[str, Any]:
    return {"step": step, "epoch": step / 4, "loss": 1 / (step + 1), "samples_per_second": 123.456789}


def log(path: Path, first: int, last: int, steps: int = 10) -> None:
    """What a run writes from one step to another."""
    json_log = JsonLog(path)
    json_log.start(steps, first)
    for step in range(first, last):
        json_log.record(METHOD, record(step))
        if step == 2:
            json_log.event(step, "rolled back")
    json_log.close()


def test_lines_are_on_disk_at_once_and_short(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    json_log = JsonLog(path)
    json_log.start(10, 0)
    json_log.record(METHOD, record(2))
    (line,) = path.read_text().splitlines()
    content = json.loads(line)
    assert content.pop("seconds") >= 0
    assert content == {"step": 2, "epoch": 0.5, "loss": 0.333333, "samples_per_second": 123.457}
    json_log.event(2, "½ rolled\nback")
    json_log.close()
    assert [json.loads(line) for line in path.read_text().splitlines()][1] == {"step": 2, "event": "½ rolled\nback"}


@pytest.mark.parametrize(
    "rest", ["", '{"step": 7, "lo', '{"step": 7, "loss": 0.1}', "\x00\x00", '{"step": 2}\n"text"\n3\n', "\xff\n"]
)
def test_a_resumed_run_takes_up_where_it_was(tmp_path: Path, rest: str) -> None:
    whole, killed = tmp_path / "whole.jsonl", tmp_path / "killed.jsonl"
    log(whole, 0, 10)
    log(killed, 0, 7)
    with open(killed, "ab") as file:
        file.write(rest.replace('{"step": 2}\n', "").encode("latin-1"))
    log(killed, 4, 10)
    lines = [[{k: v for k, v in line.items() if k != "seconds"} for line in read_history(path)] for path in (whole, killed)]
    assert lines[0] == lines[1]
    assert [line["step"] for line in read_history(killed)] == [0, 1, 2, 2, *range(3, 10)]
    assert all(json.loads(line) for line in killed.read_text().splitlines())
    seconds = [line["seconds"] for line in read_history(killed) if "seconds" in line]
    assert seconds == sorted(seconds)


def test_the_evaluation_of_a_run_that_goes_on_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 0, "loss": 1}\n{"step": 1, "evaluation": {"knn": 0.5}}\n')
    log(path, 2, 2)
    assert read_history(path) == [{"step": 0, "loss": 1}]


def test_no_file_no_lines(tmp_path: Path) -> None:
    assert read_history(tmp_path / "none.jsonl") == []
    JsonLog(tmp_path / "none.jsonl").close()  # before the run began
    TensorBoardLog(tmp_path).close()
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    json_log = JsonLog(tmp_path / "metrics.jsonl")
    json_log.start(10, 0)
    json_log.record(METHOD, record(0))
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    assert json_log.file is not None
    json_log.file.close()
    json_log.file = type(json_log.file)(full, "a")
    with pytest.raises(UserError, match=r"cannot write .*metrics.jsonl \(No space left on device\); .* --resume"):
        json_log.record(METHOD, record(1))
    json_log.close()
    assert len(read_history(tmp_path / "metrics.jsonl")) == 1


def test_tensorboard_reads_the_same_numbers(tmp_path: Path) -> None:
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for first, last in ((0, 6), (4, 8)):  # stopped at 6, resumed from 4
        board = TensorBoardLog(tmp_path)
        board.start(8, first)
        for step in range(first, last):
            board.record(METHOD, record(step) | {"watch/rankme": 2.0 * step, "note": "no number"})
        board.event(last - 1, "rolled back")
        board.close()
    events = event_accumulator.EventAccumulator(str(tmp_path))
    events.Reload()
    assert set(events.Tags()["scalars"]) == {"epoch", "loss", "samples_per_second", "watch/rankme"}
    assert [(e.step, e.value) for e in events.Scalars("watch/rankme")] == [(step, 2.0 * step) for step in range(8)]
    assert all(math.isclose(e.value, 1 / (e.step + 1), rel_tol=1e-6) for e in events.Scalars("loss"))
