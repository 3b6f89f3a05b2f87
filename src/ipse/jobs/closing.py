"""The end of a run: judge it, write the report, say where everything is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ipse.jobs.evaluate import measure, own_test
from ipse.jobs.measures import MEANINGS
from ipse.jobs.report import write_report
from ipse.jobs.run import Run

if TYPE_CHECKING:
    from ipse.data import Data
    from ipse.jobs.teachers import Teacher

JUDGED = 10_000  # samples of each part that the closing judgement looks at; `ipse evaluate` takes all


def close(run: Run, data: Data, *, quiet: bool = False, teacher: Teacher | None = None) -> Run:
    """Judges a run that has learned, writes its report, and prints both. A run that was closed before is only shown again."""
    if not run.evaluation:
        _note(run, _judgement(run, data, teacher))
    if not run.report.exists():
        write_report(run, own_test(run, data))
    if not quiet:
        _show(run, data)
    return run


def _judgement(run: Run, data: Data, teacher: Teacher | None) -> dict[str, Any]:
    """The measures of what was learned, and of the encoder before it learned anything."""
    from ipse.jobs.classes import finish
    from ipse.jobs.settings import build

    if run.has_classes:
        return finish(run, data, teacher, JUDGED)
    start = measure(build(run.config, data.train).encoder.eval(), data, limit=JUDGED)
    return {"start": start, "evaluation": measure(run.encoder, data, limit=JUDGED)}


def _note(run: Run, line: dict[str, Any]) -> None:
    line = {"step": max((h["step"] for h in run.history() if "step" in h), default=0), **line}
    with open(run.path / "metrics.jsonl", "a") as file:
        file.write(json.dumps(line) + "\n")


def _show(run: Run, data: Data) -> None:
    last = run.judgement
    start: dict[str, float] = last["start"]
    print(f"{'measure':23}{'learned':>10}{'at start':>10}")
    for name, value in run.evaluation.items():
        number = "{:.1%}" if MEANINGS[name].percent else "{:.3g}"
        before = number.format(start[name]) if name in start else ""
        print(f"{name:23}{number.format(value):>10}{before:>10}   {MEANINGS[name].text}")
    for one in last.get("models", ()):
        right = "" if one["accuracy"] is None else f", {one['accuracy']:.1%} right"
        print(f"{one['name']}: {one['parameters']:,} parameters, {one['multiply_adds']:,} multiply-adds a sample{right}")
    for text in last.get("notes", ()):
        print(text)
    if data.skipped:
        print(f"left out or mended: {len(data.skipped)}, see {run.path / 'skipped.jsonl'}")
    print(f"encoder: {run.path / 'encoder.safetensors'}")
    if run.has_classes:
        print(f"labels:  {run.predictions}")
    if run.masks.exists():
        print(f"masks:   {run.masks}")
    print(f"report:  {run.report.resolve().as_uri()}")
