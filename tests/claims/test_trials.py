from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import ipse
from ipse.cli import main
from ipse.errors import UserError

Write = Callable[..., Path]

COUNTS = """
from pathlib import Path

def run(seed, long):
    with open("calls", "a") as file:
        file.write(f"{seed}\\n")
    if seed == 2 and Path("stop").exists():
        STOP
    return {"ours": 0.5 + 0.01 * seed, "baseline": 0.4}
"""


def calls() -> list[int]:
    path = Path("calls")
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def test_a_claim_is_judged_and_recorded(claim: Write, capsys: pytest.CaptureFixture[str]) -> None:
    claim()
    text = ipse.reproduce("dcl")
    record = json.loads(Path("dcl.json").read_text())
    assert record["arms"] == {"ours": [0.5, 0.51, 0.52], "baseline": [0.4, 0.4, 0.4]}
    assert record["also"] == {"also": [7.0, 7.0, 7.0]}
    assert record["seeds"] == [0, 1, 2]
    assert record["effect"] == pytest.approx(0.11)
    # 0.10, 0.11, 0.12: s = 0.01, half width 0.01 * 4.30265 / sqrt(3)
    assert record["interval"] == pytest.approx([0.11 - 0.0248414, 0.11 + 0.0248414], abs=1e-6)
    assert record["sign_flips"] == 0.25
    assert (record["verdict"], record["long"], record["tried"]) == ("holds", False, "nothing else")
    assert {"python", "torch", "ipse", "numpy", "timm"} <= set(record["versions"])
    assert "ours: 51.0%\n" in text
    assert "claimed: ours - baseline > 0 points\n" in text
    assert "found: +11.00 points [+8.52, +13.48]\n" in text
    assert "verdict: holds\n" in text
    assert "dcl: seed 2: ours 0.52, baseline 0.4, also 7" in capsys.readouterr().err


def test_results_of_a_checkout_go_where_its_results_are(claim: Write) -> None:
    claim()
    Path("results").mkdir()
    ipse.reproduce("dcl")
    assert [path.name for path in Path("results").iterdir()] == ["dcl.json"]
    with pytest.raises(UserError, match=r"dcl\.json is there already: say where the result of fewer seeds goes"):
        ipse.reproduce("dcl", seeds=2)
    ipse.reproduce("dcl", seeds=2, out="few.json")
    assert json.loads(Path("few.json").read_text())["seeds"] == [0, 1]
    assert json.loads(Path("results/dcl.json").read_text())["seeds"] == [0, 1, 2]


def test_the_long_form_has_its_own_seeds(claim: Write) -> None:
    claim()
    ipse.reproduce("dcl", long=True)
    record = json.loads(Path("dcl.json").read_text())
    assert (record["seeds"], record["long"], record["arms"]["baseline"][0]) == ([0, 1, 2, 3], True, 0.5)


def test_one_seed_shows_nothing(claim: Write) -> None:
    claim()
    text = ipse.reproduce("dcl", seeds=1)
    record = json.loads(Path("dcl.json").read_text())
    assert (record["interval"], record["bootstrap"], record["student"], record["verdict"]) == (None, None, None, "not shown")
    assert "no interval from one seed" in text


def test_a_stopped_claim_goes_on_with_the_seeds_that_are_left(claim: Write, capsys: pytest.CaptureFixture[str]) -> None:
    claim(run=COUNTS.replace("STOP", "raise KeyboardInterrupt"))
    Path("stop").touch()
    with pytest.raises(SystemExit) as stop:
        main(["reproduce", "dcl"])
    assert stop.value.code == 130
    assert "dcl: stopped, 2 finished seeds kept: the same command goes on from there" in capsys.readouterr().err
    assert not Path("dcl.json").exists()
    Path("stop").unlink()
    ipse.reproduce("dcl")
    assert calls() == [0, 1, 2, 2]
    assert json.loads(Path("dcl.json").read_text())["arms"]["ours"] == [0.5, 0.51, 0.52]
    assert re.search(r"seed 1: kept from before", capsys.readouterr().err)
    ipse.reproduce("dcl")
    assert calls() == [0, 1, 2, 2, 0, 1, 2], "a claim that has been recorded is tested anew"


@pytest.mark.parametrize(("status", "expected"), [(130, KeyboardInterrupt), (143, SystemExit)])
def test_a_run_that_was_interrupted_stops_the_claim(claim: Write, status: int, expected: type[BaseException]) -> None:
    claim(run=COUNTS.replace("STOP", f"raise __import__('ipse.errors').errors.Interrupted({status})"))
    Path("stop").touch()
    with pytest.raises(expected) as stop:
        ipse.reproduce("dcl")
    assert expected is KeyboardInterrupt or stop.value.args == (143,)


def test_a_cache_that_cannot_be_written_is_said_in_one_line(claim: Write, tmp_path: Path) -> None:
    claim()
    (tmp_path / "cache").touch()
    with pytest.raises(UserError, match=r"cannot write .*: (Not a directory|File exists)"):
        ipse.reproduce("dcl")


def test_what_is_kept_does_not_outlive_the_code(claim: Write) -> None:
    claim(run=COUNTS.replace("STOP", "raise KeyboardInterrupt"))
    Path("stop").touch()
    with pytest.raises(KeyboardInterrupt):
        ipse.reproduce("dcl")
    Path("stop").unlink()
    claim(run=COUNTS.replace("STOP", "pass").replace("0.4}", "0.3}"))
    ipse.reproduce("dcl")
    assert calls() == [0, 1, 2, 0, 1, 2]
    assert json.loads(Path("dcl.json").read_text())["arms"]["baseline"] == [0.3, 0.3, 0.3]


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"about": {}, "code": 3}', '{"about": {}, "code": ["/gone.py"], "trials": []}']
)
def test_a_damaged_file_of_kept_seeds_counts_as_none(claim: Write, tmp_path: Path, damage: str) -> None:
    claim()
    (tmp_path / "cache" / "claims").mkdir(parents=True)
    (tmp_path / "cache" / "claims" / "dcl.json").write_text(damage)
    assert "holds" in ipse.reproduce("dcl")


def test_ctrl_c_at_the_command_line(claim: Write, tmp_path: Path) -> None:
    """A real signal to a real process; the seeds that had finished are on disk."""
    claim(run="import time\n" + COUNTS.replace("STOP", "print('waiting', flush=True); time.sleep(60)"))
    Path("stop").touch()
    # Whoever runs the tests in the background may have switched the signal off for all that they start.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += f"import ipse.claims; ipse.claims.__path__ = [{str(tmp_path / 'claims')!r}]; import ipse.cli"
    code += "; ipse.cli.main(['reproduce', 'dcl'])"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in err
    kept = json.loads((tmp_path / "cache" / "claims" / "dcl.json").read_text())
    assert [trial[0] for trial in kept["trials"]] == [0, 1]


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("def run(seed, long): return {'ours': 1.0}", "is of kind greater and gave too few numbers: ours"),
        ("def run(seed, long): return {'ours': float('nan'), 'baseline': 1}", "with seed 0, ours is nan"),
        ("def run(seed, long): return {'ours': 1, f'baseline {seed}': 1}", "gave other numbers with seed 1 than before"),
    ],
)
def test_numbers_that_cannot_be_judged(claim: Write, run: str, message: str) -> None:
    claim(run=run)
    with pytest.raises(UserError, match=message):
        ipse.reproduce("dcl")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["barlow-twin"], "unknown paper 'barlow-twin': did you mean 'barlow-twins'?"),
        (["w-mse"], "no claim of 'w-mse' yet; there are: dcl"),
        (["dcl", "--seeds", "0"], "--seeds must be at least 1, not 0"),
        (["dcl", "--seeds", "-1"], "--seeds must be at least 1, not -1"),
        (["dcl", "--out", "nowhere/dcl.json"], "cannot write nowhere/dcl.json: no folder nowhere that can be written"),
        (["dcl", "--out", "."], "cannot write .: it is a folder"),
    ],
)
def test_mistakes_are_one_line_before_anything_runs(
    claim: Write, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    claim(run=COUNTS)
    with pytest.raises(SystemExit) as stop:
        main(["reproduce", *arguments])
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"ipse: error: {message}\n"
    assert calls() == []


def test_help_reads_well(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["reproduce", "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("KEY", "--seeds", "--out", "--long", "verdict"))
