"""The end of a run: judge it, write the report, say where everything is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ipse.jobs.evaluate import MEANINGS, measure
from ipse.jobs.report import write_report
from ipse.jobs.run import Run

if TYPE_CHECKING:
    from ipse.data import Data

JUDGED = 10_000  # samples of each part that the closing judgement looks at; `ipse evaluate` takes all


def close(run: Run, data: Data, *, quiet: bool = False) -> Run:
    """Judges a run that has learned, writes its report, and prints both. A run that was closed before is only shown again."""
    if not run.evaluation:
        _note(run, start=_untrained(run, data), evaluation=measure(run.encoder, data, limit=JUDGED))
    if not run.report.exists():
        write_report(run, data)
    if not quiet:
        _show(run, data)
    return run


def _untrained(run: Run, data: Data) -> dict[str, float]:
    """The same measures of the encoder before it learned anything."""
    from ipse.jobs.settings import build

    config = run.config
    return measure(build(config, data.train).encoder.eval(), data, limit=JUDGED)


def _note(run: Run, **numbers: dict[str, float]) -> None:
    line = {"step": max((h["step"] for h in run.history() if "step" in h), default=0), **numbers}
    with open(run.path / "metrics.jsonl", "a") as file:
        file.write(json.dumps(line) + "\n")


def _show(run: Run, data: Data) -> None:
    start: dict[str, float] = next((line["start"] for line in run.history() if "start" in line), {})
    print(f"{'measure':21}{'learned':>10}{'at start':>10}")
    for name, value in run.evaluation.items():
        number = "{:.1%}" if MEANINGS[name].percent else "{:.3g}"
        before = number.format(start[name]) if name in start else ""
        print(f"{name:21}{number.format(value):>10}{before:>10}   {MEANINGS[name].text}")
    if data.skipped:
        print(f"left out or mended: {len(data.skipped)}, see {run.path / 'skipped.jsonl'}")
    print(f"encoder: {run.path / 'encoder.safetensors'}")
    print(f"report:  {run.report.resolve().as_uri()}")
