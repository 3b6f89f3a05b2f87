"""Show a run on one page."""

from __future__ import annotations

import math
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ipse import __version__
from ipse.errors import UserError
from ipse.jobs.run import Run, data_for, matching

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipse.data import Data, Samples
    from ipse.models import Encoder

SHOWN, QUERIES, NEIGHBOURS = 1500, 12, 8
COLUMNS, CELLS = 200, 4_000_000  # of a table: shuffled at most, and embedded for that
READ = 12  # columns that are shown as text


def report(
    run: Annotated[str | os.PathLike[str], "a run's folder"],
    data: Annotated[Any, "the data to show; default: the run's own, where it was then"] = None,
    *,
    out: Annotated[str | Path | None, "where to; default RUN/report.html"] = None,
) -> Path:
    """Write the report of a run: one self-contained HTML file.

    Raises UserError when the data is gone or was an array in memory and is not given, and where the file cannot be written.
    """
    from ipse.jobs.evaluate import own_test

    opened = Run.open(run)
    encoder = opened.encoder
    shown = own_test(opened, opened.data()) if data is None else data_for(encoder, data)
    matching(shown.train, encoder)
    return write_report(opened, shown, None if out is None else Path(out))


def write_report(run: Run, data: Data, path: Path | None = None) -> Path:
    """Writes the report of a run on its data, and returns where it is."""
    if run.config.get("job") == "forget":
        from ipse.jobs.forgetting.page import write_page

        return write_page(run, data, path=path)
    import numpy as np
    import torch

    from ipse import papers
    from ipse.data.form import described
    from ipse.jobs.classes import verdicts
    from ipse.jobs.evaluate import parts
    from ipse.jobs.measures import MEANINGS
    from ipse.jobs.segmenting import masks
    from ipse.metrics.embedding import embeddings
    from ipse.metrics.rank import spectrum
    from ipse.reports import Measure, Report, portray, write
    from ipse.reports.embedding_map import embedding_map, neighbours

    encoder, config, history, last = run.encoder, run.config, run.history(), run.judgement
    _, held = parts(data, limit=SHOWN)
    z = embeddings(encoder, held).numpy()
    labels = held.y.tolist() if held.labelled and held.masks is None else None
    queries = held.spread(QUERIES)
    nearest = (queries, *neighbours(z, queries, min(NEIGHBOURS, len(z) - 1))) if len(z) > 1 else None
    shown = queries if nearest is None else np.unique(np.concatenate([queries, nearest[1].ravel()]))
    columns, importances = _importances(encoder, held)
    column_names = [str(column["name"]) for column in encoder.form.get("columns", ())]
    begun = config.get("from") or config.get("pretrained")
    measures = [
        Measure(
            name,
            value,
            MEANINGS[name].text,
            MEANINGS[name].higher_is_better,
            _reference(name, last, "the encoder it began with" if begun else "the untrained encoder"),
            percent=MEANINGS[name].percent,
        )
        for name, value in run.evaluation.items()
    ]
    method = papers.find(config["method"])
    page = Report(
        title=f"{method.title} on {'an array' if config['data'] is None else data.name}",
        subtitle=f"{config['encoder']}, {encoder.dim} dimensions, {config['samples']:,} samples of {described(encoder.form)}. {method.summary}",
        command=config["command"],
        measures=measures,
        history=[line for line in history if "evaluation" not in line],
        points=embedding_map(z, seed=0),
        portraits=portray(held, shown, columns[:READ]),
        labels=labels,
        classes=data.classes,
        names=[str(name) for name in held.names],
        neighbours=nearest,
        spectrum=np.asarray(spectrum(torch.as_tensor(z))),
        importances=[(column_names[column], share) for column, share in zip(columns, importances, strict=True)],
        unmeasured=len(column_names) - len(columns),
        verdicts=verdicts(run, data) if run.has_classes else None,
        **masks(run, data),
        skipped=[(s.name, s.reason) for s in data.skipped],
        notes=last.get("notes", ()),
        config={k: v for k, v in config.items() if k not in ("command", "words")},
        versions={
            "python": platform.python_version(),
            "ipse": __version__,
            **{package: version(package) for package in ("torch", "timm", "lightning-fabric")},
        },
    )
    try:
        return write(page, path or run.report)
    except OSError as e:
        raise UserError(f"cannot write the report to {path or run.report}: {e.strerror or e}") from e


def _reference(name: str, judgement: Mapping[str, Any], encoder: str) -> tuple[str, float] | None:
    """What a measure is compared with: the same of the `encoder` at the start or, of a classifier, its teacher or the best that scikit-learn makes of that."""
    from ipse.jobs.measures import MEANINGS

    start: Mapping[str, float] = judgement.get("start", {})
    if name == "accuracy":
        keys = [key for key in ("self-training", "label-spreading") if key in start]
        rivals = {start[key]: f"scikit-learn's {key} on {encoder}" for key in keys}
        if teachers := [one["accuracy"] for one in judgement.get("models", ()) if one["name"] == "teacher"]:
            rivals = {} if teachers[0] is None else {teachers[0]: "the teacher"}
        return (rivals[max(rivals)], max(rivals)) if rivals else None
    if name not in start or not math.isfinite(start[name]):
        return None
    return "before calibration" if MEANINGS[name].needs_classes else encoder, start[name]


def _importances(encoder: Encoder, samples: Samples) -> tuple[list[int], list[float]]:
    """Which columns of a table move the embeddings most, and how far; none of other data."""
    import numpy as np

    from ipse.metrics.importance import column_importance
    from ipse.reports.tiles import columns_shown

    if samples.form["modality"] != "table":
        return [], []
    # A transformer takes time for each pair of columns, and that for each column that is shuffled.
    x = samples.read(samples.spread(max(64, CELLS // len(samples.form["columns"]) ** 2)))["x"]
    columns = columns_shown(x.numpy(), COLUMNS)
    importance = column_importance(encoder, x, columns.tolist()).numpy()
    order = np.argsort(-importance, kind="stable")
    return columns[order].tolist(), importance[order].tolist()
