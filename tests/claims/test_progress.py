from __future__ import annotations

import pytest

from ipse.claims.harness.progress import Progress
from ipse.claims.harness.record import Trial
from ipse.claims.harness.spoken import minutes


def test_says_seed_arm_and_time_left(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = [0.0]
    monkeypatch.setattr("ipse.claims.harness.progress.time.perf_counter", lambda: clock[0])
    line = Progress("dcl", 4)
    line.skip(Trial(0, {"DCL": 0.5}, 20.0))
    line.begin(1)
    clock[0] = 5.0
    line.tell("simclr steps=600")
    line.end(Trial(1, {"DCL": 0.41234567}, 40.0))
    line.begin(2)
    line.tell("dcl steps=600")
    assert capsys.readouterr().err.splitlines() == [
        "dcl: seed 0: kept from before",
        "dcl: seed 1 (2 of 4): simclr steps=600 (25 s gone, about 55 s left)",  # 20 - 5 of this one and 2 x 20 of the others
        "dcl: seed 1: DCL 0.4123",
        "dcl: seed 2 (3 of 4): dcl steps=600 (60 s gone, about 60 s left)",  # 30 s each
    ]


def test_no_time_left_before_a_seed_has_finished(capsys: pytest.CaptureFixture[str]) -> None:
    line = Progress("dcl", 4)
    line.begin(0)
    line.tell("dcl")
    line.stop()
    assert capsys.readouterr().err == "dcl: seed 0 (1 of 4): dcl (0 s gone)\ndcl: stopped\n"


def test_minutes() -> None:
    assert [minutes(s) for s in (3.2, 99.0, 150.0, 7200.0)] == ["3 s", "99 s", "2.5 min", "2.0 h"]
