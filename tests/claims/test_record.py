from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from ipse.claims import Claim
from ipse.claims.harness import machine
from ipse.claims.harness.record import Record, Trial, read_all
from ipse.claims.harness.spoken import claimed, effect, spoken
from ipse.errors import UserError


def record(*values: dict[str, float], key: str = "dcl", **words: Any) -> Record:
    usual = {"statement": "Ours wins", "setting": "numbers", "measure": "accuracy", "tried": "nothing else"}
    trials = [Trial(seed, v, 30.0) for seed, v in enumerate(values)]
    return Record.of(key, Claim(**(usual | words)), trials, long=False, date="2026-11-22")


PAIRS = [{"ours": 0.5, "baseline": 0.45, "also": 3.0}, {"ours": 0.52, "baseline": 0.44, "also": 4.0}]


def test_write_and_read_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "dcl.json"
    written = record(*PAIRS, unit="%")
    written.write(path)
    assert Record.read(path) == written
    assert [item.name for item in tmp_path.iterdir()] == ["dcl.json"]
    assert read_all(tmp_path) == [written]
    assert written.seconds == 60.0


@pytest.mark.parametrize(
    ("kind", "bound", "verdict", "flips"),
    [
        ("greater", 0.0, "holds", 0.5),
        ("less", 0.0, "opposite", 0.5),
        ("within", 0.3, "holds", None),
        ("within", 0.1, "opposite", None),
    ],
)
def test_verdict_of_two_arms(kind: str, bound: float, verdict: str, flips: float | None) -> None:
    judged = record({"a": 1.2, "b": 1.0}, {"a": 1.2002, "b": 1.0}, kind=kind, bound=bound)
    assert (judged.verdict, judged.sign_flips) == (verdict, flips)
    assert judged.effect == pytest.approx(0.2001)


def test_a_number_to_reach_has_no_baseline() -> None:
    judged = record({"rho": 0.9, "settings": 12}, {"rho": 0.91, "settings": 12}, kind="at_least", bound=0.5)
    assert (judged.verdict, judged.arms, judged.also) == ("holds", {"rho": [0.9, 0.91]}, {"settings": [12.0, 12.0]})
    assert claimed(judged) == "rho ≥ 0.5"
    assert effect(judged) == "0.905 [0.8415, 0.9685]"  # 0.0070711 x 12.7062 / sqrt(2) = 0.063531 on either side


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({}, "ours - baseline > 0"),
        ({"unit": "%", "bound": 0.01}, "ours - baseline > 1 points"),
        ({"unit": "dB", "kind": "less"}, "ours - baseline < 0 dB"),
        ({"unit": "%", "kind": "less", "bound": 0.02}, "ours - baseline < -2 points"),
        ({"unit": "%", "kind": "within", "bound": 0.02}, "ours - baseline within ±2 points"),
    ],
)
def test_what_is_claimed_in_words(words: dict[str, Any], says: str) -> None:
    assert claimed(record(*PAIRS, **words)) == says


def test_effect_in_words() -> None:
    # 0.05 and 0.08: mean 0.065, s = 0.0212132, half width 0.0212132 x 12.7062 / sqrt(2) = 0.190593
    assert effect(record(*PAIRS, unit="%")) == "+6.50 points [-12.56, +25.56]"
    assert effect(record(*PAIRS, unit="dB")) == "+0.065 dB [-0.126, +0.256]"
    assert "(also: 3.5)" in spoken(record(*PAIRS))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"verdict": "holds"}, "verdict does not follow from the values"),
        ({"effect": 0.07}, "effect does not follow"),
        ({"interval": [0.0, 0.1]}, "interval does not follow"),
        ({"interval": None}, "interval does not follow"),
        ({"sign_flips": 0.01}, "sign_flips does not follow"),
        ({"arms": {"ours": [0.5, 0.52]}}, "1 tested arms of kind greater"),
        ({"also": {"also": [3.0]}}, "not one value per seed"),
        ({"seeds": [0, 1, 2]}, "not one value per seed"),
        ({"also": {"also": [3.0, "4"]}}, "no finite number"),
        ({"kind": "better"}, "kind 'better'"),
        ({"verdict": "proven"}, "verdict 'proven'"),
        ({"tried": ""}, "no tried"),
        ({"arms": [0.5]}, "no attribute"),
        ({"mood": 1}, "mood"),
        ({"tried": ...}, "tried"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    fields = dataclasses.asdict(record(*PAIRS)) | change
    path = tmp_path / "dcl.json"
    path.write_text(json.dumps({k: v for k, v in fields.items() if v is not ...}))
    with pytest.raises(UserError, match=problem):
        Record.read(path)


@pytest.mark.parametrize("content", ["", "[]", "3", "{}", "\x80"])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "dcl.json").write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match=r"dcl\.json is no result of a claim"):
        read_all(tmp_path)


def test_a_record_under_another_name_is_refused(tmp_path: Path) -> None:
    record(*PAIRS).write(tmp_path / "w-mse.json")
    with pytest.raises(UserError, match=r"w-mse\.json is the result of another paper: dcl"):
        read_all(tmp_path)
    with pytest.raises(UserError, match="no folder"):
        read_all(tmp_path / "none")


def test_nothing_names_the_machine() -> None:
    import platform

    about = machine.environment()
    assert set(about) == {"versions", "processor", "cores"}
    assert about["processor"]
    assert about["cores"] >= 1
    assert platform.node() not in json.dumps(about)
