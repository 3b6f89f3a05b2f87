"""How the results of a stream are shown: as lines at the terminal, and as a page."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from ipse import __version__, papers
from ipse.data import Data
from ipse.jobs.adapting.answers import Answers, means
from ipse.jobs.adapting.result import Adapted
from ipse.reports import Measure, Report, Table, write


def head(answers: Answers) -> str:
    """What stands above the lines."""
    judged = [f"{name:>17}" for name in answers.columns] if answers.judged else []
    return f"{'error of' if judged else '':18}{'samples':>8}{''.join(judged)}{'changed':>9}{'entropy':>9}{'guarded':>9}"


def line(row: Mapping[str, Any], answers: Answers) -> str:
    """A segment as a line."""
    blank = " " * 17 * len(answers.columns) if answers.judged else ""
    errors = "".join(f"{row['error'][name]:>17.1%}" for name in answers.columns) if row["error"] else blank
    return f"{row['segment']:18}{row['samples']:>8}{errors}{row['changed']:>9.1%}{row['entropy']:>9.3f}{row['by_source']:>9.1%}"


def show(result: Adapted, answers: Answers) -> None:
    """Prints the whole stream in one line, what the guard did and where to read more."""
    whole = {"segment": "all", "samples": answers.count, "error": result.error, **means(result.segments)}
    print(line(whole, answers))
    for event in result.events[:10]:
        print(f"guard: {event}")
    if len(result.events) > 10:
        print(f"guard: {len(result.events) - 10} more, see {result.path / 'results.json'}")
    if result.adapter.unreadable:
        print(f"not answered, since the model gives no numbers for them: {len(result.adapter.unreadable)} samples")
    print(f"predictions: {result.path / 'predictions.csv'}")
    print(f"report:      {(result.path / 'report.html').resolve().as_uri()}")


def write_page(result: Adapted, answers: Answers, model: str, data: Data, command: str, config: Mapping[str, Any]) -> None:
    """Writes report.html: the stream as curves over a moving window of answers, and what the guard did.

    model: its name. config: the settings to show, `batch_size` among them.
    """
    method, share, rows = answers.method, means(result.segments), result.segments
    paper = papers.find(method)
    measures = [
        Measure("changed", share["changed"], "Share of answers that are not the unadapted model's.", None, percent=True),
        Measure(
            "answered by the source",
            share["by_source"],
            "Share of answers where the guard let the unadapted model answer.",
            None,
            percent=True,
        ),
    ]
    if error := result.error:
        unadapted = ("the unadapted model", error["source"])
        measures.insert(0, Measure("error", error[method], "Share of answers that are wrong.", False, unadapted, percent=True))
    events = [{"step": event.sample, "event": event.text} for event in result.adapter.events]
    page = Report(
        title=f"{paper.title} on {data.name}",
        subtitle=f"{model}, {answers.count:,} answers in batches of {config['batch_size']}. {paper.summary}",
        command=command,
        measures=measures,
        history=[*answers.history(config["batch_size"]), *events],
        skipped=[(s.name, s.reason) for s in data.skipped],
        config=dict(config),
        versions={"python": platform.python_version(), "ipse": __version__, "torch": version("torch")},
        steps="answer",
        tables=[_table(rows, answers)],
    )
    write(page, result.path / "report.html")


def _table(rows: Sequence[Mapping[str, Any]], answers: Answers) -> Table:
    """The segments, and how often each model is wrong there."""
    models = list(answers.columns) if answers.judged else []
    head = ["segment", "samples", *(f"error, {name}" for name in models), "changed", "answered by the source"]
    return Table(
        "Along the stream",
        head,
        [
            [
                row["segment"],
                f"{row['samples']:,}",
                *(f"{row['error'][name]:.1%}" if row["error"] else "" for name in models),
                f"{row['changed']:.1%}",
                f"{row['by_source']:.1%}",
            ]
            for row in rows
        ],
    )
