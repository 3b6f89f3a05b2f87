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
    from ipse.data import Data

SHOWN, QUERIES, NEIGHBOURS, THUMBNAIL = 1500, 12, 8, 64


def report(
    run: Annotated[str | os.PathLike[str], "a run's folder"],
    data: Annotated[Any, "the data to show; default: the run's own, where it was then"] = None,
    *,
    out: Annotated[str | Path | None, "where to; default RUN/report.html"] = None,
) -> Path:
    """Write the report of a run: one self-contained HTML file.

    Raises UserError when the data is gone or was an array in memory and is not given, and where the file cannot be written.
    """
    opened = Run.open(run)
    encoder = opened.encoder
    shown = opened.data() if data is None else data_for(encoder, data)
    matching(shown.train, encoder)
    return write_report(opened, shown, None if out is None else Path(out))


def write_report(run: Run, data: Data, path: Path | None = None) -> Path:
    """Writes the report of a run on its data, and returns where it is."""
    import numpy as np
    import torch

    from ipse import papers
    from ipse.jobs.evaluate import MEANINGS, parts
    from ipse.metrics.embedding import embeddings
    from ipse.metrics.rank import spectrum
    from ipse.reports import Measure, Report, write
    from ipse.reports.embedding_map import embedding_map, neighbours

    encoder, config, history = run.encoder, run.config, run.history()
    start: dict[str, float] = next((line["start"] for line in history if "start" in line), {})
    _, held = parts(data, limit=SHOWN)
    z = embeddings(encoder, held, encoder.size).numpy()
    labels = held.y.tolist() if held.labelled else None
    queries = np.linspace(0, len(z) - 1, min(QUERIES, len(z))).astype(np.int64)
    measures = [
        Measure(
            name,
            value,
            MEANINGS[name].text,
            MEANINGS[name].higher_is_better,
            ("the untrained encoder", start[name]) if name in start and math.isfinite(start[name]) else None,
            percent=MEANINGS[name].needs_labels,
        )
        for name, value in run.evaluation.items()
    ]
    method = papers.find(config["method"])
    page = Report(
        title=f"{method.title} on {'an array' if config['data'] is None else data.name}",
        subtitle=f"{config['encoder']}, {encoder.dim} dimensions, {config['samples']:,} samples of {config['size']} px. {method.summary}",
        command=config["command"],
        measures=measures,
        history=[line for line in history if "evaluation" not in line],
        points=embedding_map(z, seed=0),
        thumbnails=_thumbnails(held),
        labels=labels,
        classes=data.classes,
        names=[str(name) for name in held.names],
        neighbours=(queries, *neighbours(z, queries, min(NEIGHBOURS, len(z) - 1))) if len(z) > 1 else None,
        spectrum=np.asarray(spectrum(torch.as_tensor(z))),
        skipped=[(s.name, s.reason) for s in data.skipped],
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


def _thumbnails(images: Any) -> Any:
    """Small pictures (N, H, W, C) in their own proportions, at most THUMBNAIL pixels a side."""
    import torch

    from ipse.transforms import original

    size = min(THUMBNAIL, max(images.height, images.width))
    index = torch.arange(len(images))
    x = original(images.gather(index), torch.as_tensor(images.aspect), size).x
    x = x[:, :3] if x.shape[1] >= 3 else x[:, :1]
    return ((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
