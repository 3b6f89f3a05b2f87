"""Progress: a bar at a terminal, a line at every tenth elsewhere, the time left in both."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import pytest
from torch import nn

from ipse.callbacks import Progress


def record(step: int, **more: float) -> dict[str, Any]:
    return {"step": step, "loss": 0.5, "samples_per_second": 1234.4, **more}


def test_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress("simclr")
    progress.start(200, 0)
    for step in range(0, 200, 3):
        progress.record(nn.Identity(), record(step, **{"watch/rankme": 12.345}))
    progress.event(3, "rolled [back] to [/step] 2")
    progress.record(nn.Identity(), record(199))
    progress.close()
    output = capsys.readouterr()
    assert output.out == ""
    *lines, event, last = output.err.splitlines()
    assert [int(line.split("%")[0].split()[-1]) // 10 for line in lines] == list(range(10))
    form = r"simclr:   0%  step 1/200  loss 0.500  1234 samples/s  rankme 12.3  left \d:\d\d:\d\d"
    assert re.fullmatch(form, lines[0])
    assert event == "step 3: rolled [back] to [/step] 2"
    assert last == "simclr: 100%  step 200/200  loss 0.500  1234 samples/s"


def test_the_time_left_is_that_of_the_steps_left(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("ipse.callbacks.progress.time.perf_counter", lambda: now)
    progress = Progress("simclr")
    progress.start(1000, 500)  # resumed: the steps of before took none of this time
    now = 160.0
    progress.record(nn.Identity(), record(599))
    progress.close()
    assert capsys.readouterr().err.rstrip().endswith("left 0:04:00")


def test_closed_before_it_began() -> None:
    Progress("simclr").close()


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
@pytest.mark.parametrize("no_colour", [False, True])
def test_at_a_terminal(no_colour: bool) -> None:
    import pty

    code = """
import time
from torch import nn
from ipse.callbacks import Progress
bar = Progress("simclr")
bar.start(4, 0)
for step in range(4):
    time.sleep(0.15)
    bar.record(nn.Identity(), {"step": step, "loss": 0.5, "samples_per_second": 1234.4})
bar.event(3, "rolled back")
bar.close()"""
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
    environment = {k: v for k, v in environment.items() if k not in ("NO_COLOR", "FORCE_COLOR")} | (
        {"NO_COLOR": "1"} if no_colour else {}
    )
    leader, follower = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", code], stderr=follower, stdout=subprocess.PIPE, env=environment)
    os.close(follower)
    written = b""
    while True:
        try:
            written += (piece := os.read(leader, 4096))
        except OSError:  # the other end was closed
            break
        if not piece:
            break
    os.close(leader)
    assert process.communicate() == (b"", None)
    assert process.returncode == 0
    text = written.decode()
    coloured = re.findall(r"\x1b\[[\d;]*3\d[\d;]*m", text)
    assert bool(coloured) is not no_colour
    shown = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text)
    assert "step 3: rolled back" in shown
    assert re.search(r"simclr .* 4/4 loss 0\.500 +1234 samples/s 0:00:0\d left 00:00", shown)
    assert "%" not in shown  # no plain lines beside the bar
