"""The report of a run as one HTML file that loads nothing."""

from __future__ import annotations

import base64
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from ipse.reports import figures
from ipse.reports.masked import Masked
from ipse.reports.portraits import LARGE, Portraits
from ipse.reports.sounds import mime
from ipse.reports.sprite import sprite
from ipse.reports.template import rendered
from ipse.reports.verdicts import Verdicts

SAMPLES = 3000  # on the map
SKIPPED = 200  # listed by name
IMPORTANT = 30  # columns of a table, as bars
CLOSEUPS = 500_000  # bytes


@dataclass(frozen=True)
class Measure:
    """One number about the model: what it means in one plain sentence, and what to compare it with, as in ("chance", 0.1).

    `percent` shows shares, from 0 to 1, in percent. `higher_is_better` is None where neither is; `aim` says what is wished for then.
    """

    name: str
    value: float
    meaning: str
    higher_is_better: bool | None = True
    reference: tuple[str, float] | None = None
    percent: bool = False
    aim: str = ""

    @property
    def shown(self) -> str:
        """The value for reading: in percent, or with three to four digits."""
        return self._text(self.value)

    @property
    def unit(self) -> str:
        return "%" if self.percent and math.isfinite(self.value) else ""

    @property
    def verdict(self) -> str:
        """How the value stands to the reference: better, worse (above, below where neither is), same; '' where nothing can be said."""
        if self.reference is None or not math.isfinite(self.value - self.reference[1]):
            return ""
        gain = self.value - self.reference[1]
        if self._text(gain) in {self._text(0.0), self._text(-0.0)}:
            return "same"
        if self.higher_is_better is None:
            return "above" if gain > 0 else "below"
        return "better" if (gain > 0) == self.higher_is_better else "worse"

    @property
    def compared(self) -> str:
        """The verdict in words, as in '6.2 points better than chance (10.0 %)'; '' without a reference."""
        if self.reference is None:
            return ""
        name, value = self.reference
        against = f"{name} ({self._text(value)}{' %' if self.percent else ''})"
        difference = self._text(abs(self.value - value)) + (" points" if self.percent else "")
        than = "" if self.higher_is_better is None else "than "
        return {"": against, "same": f"the same as {against}"}.get(self.verdict, f"{difference} {self.verdict} {than}{against}")

    def _text(self, value: float) -> str:
        """A number as precise as the larger of the measure and its reference deserves, so that the two read alike."""
        if not math.isfinite(value):
            return "–"
        if self.percent:
            return f"{100 * value:.1f}".replace("-", "−")
        known = [v for v in (self.value, *(self.reference or ())[1:]) if math.isfinite(v)]
        size = max(map(abs, known), default=0.0)
        if size >= 1e6 or 0 < size < 1e-3:
            mantissa, exponent = f"{value:.2e}".split("e")
            return f"{mantissa}e{int(exponent)}".replace("-", "−")
        digits = 0 if size >= 1000 or all(v == int(v) for v in known) else 1 if size >= 100 else 2 if size >= 10 else 3
        return f"{value:,.{digits}f}".replace("-", "−")


@dataclass(frozen=True)
class Table:
    """A few rows below the measures, all as text: the first of each is its name."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Report:
    """What a report shows; whatever is empty or None is left out of the page, or the page says that it is missing.

    `history`: the parsed lines of metrics.jsonl, which are numbered by `steps`, in words; `points` (N, 2): the embedding map;
    `portraits` (N): what samples look like; `labels` (N,): -1 for none; `neighbours`: the rows asked for (Q,), their nearest
    (Q, K) and the similarities (Q, K); `spectrum` (D,): the eigenvalues of the embeddings' covariance, in any order and scale;
    `importances`: the columns of a table and how far the embeddings move when they are shuffled, as shares, and `unmeasured`
    more columns; `verdicts`: how a classifier did; `masked`: pictures with their masks, and `colours` of the classes in these,
    as CSS; `skipped`: names and reasons. Without points, neighbours and spectrum it is not about embeddings, and says nothing
    of them.
    """

    title: str
    subtitle: str = ""
    command: str = ""
    measures: Sequence[Measure] = ()
    tables: Sequence[Table] = ()
    history: Sequence[Mapping[str, Any]] = ()
    steps: str = "training step"
    points: NDArray[Any] | None = None
    portraits: Portraits | None = None
    labels: Sequence[int] | None = None
    classes: Sequence[str] = ()
    names: Sequence[str] = ()
    neighbours: tuple[NDArray[Any], NDArray[Any], NDArray[Any]] | None = None
    spectrum: NDArray[Any] | None = None
    importances: Sequence[tuple[str, float]] = ()
    unmeasured: int = 0
    verdicts: Verdicts | None = None
    masked: Sequence[Masked] = ()
    colours: Sequence[tuple[str, str]] = ()
    skipped: Sequence[tuple[str, str]] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


def write(report: Report, path: str | Path) -> Path:
    """Writes the report to `path`, whole or not at all, and returns the path; the same report gives the same bytes."""
    path = Path(path)
    html = _html(report)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.write(html)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def _html(report: Report) -> bytes:
    data = _data(report)
    return rendered(
        "page",
        report=report,
        embeds=any(x is not None for x in (report.points, report.neighbours, report.spectrum)),
        data=data,
        json=_json(data),
        skipped=list(report.skipped[:SKIPPED]),
        config=_flat(report.config),
        important=sorted(report.importances, key=lambda item: -item[1])[:IMPORTANT],
    )


def _data(report: Report) -> dict[str, Any]:
    """Everything that the page's figures need, for at most 3000 samples besides those among the neighbours."""
    present = [
        x
        for x in (report.points, report.portraits, report.labels, report.names if len(report.names) else None)
        if x is not None
    ]
    if len({len(x) for x in present}) > 1:
        raise ValueError(f"points, portraits, labels and names must be of one length, got {[len(x) for x in present]}")
    total = len(present[0]) if present else 0
    query, nearest, similarity = report.neighbours or (np.empty(0, int), np.empty((0, 0), int), np.empty((0, 0)))
    spread = np.linspace(0, total - 1, min(total, SAMPLES)).astype(np.int64)
    kept = np.unique(np.concatenate([spread, np.ravel(query), np.ravel(nearest)]).astype(np.int64))
    labels = [int(report.labels[i]) for i in kept] if report.labels is not None else [-1] * len(kept)
    legend, entries = figures.groups(labels, report.classes)
    return {
        "total": total,
        "axis": report.steps.split()[-1],
        "curves": figures.curves(report.history),
        "clock": figures.clock(report.history),
        "events": figures.events(report.history),
        "points": figures.plane(np.asarray(report.points)[kept]) if report.points is not None and len(kept) else [],
        "names": [str(report.names[i]) if len(report.names) else f"sample {i}" for i in kept],
        "labels": [figures.class_name(label, report.classes) for label in labels],
        "groups": legend,
        "group": entries,
        **_portrayed(report.portraits, kept),
        "neighbours": [
            {"query": int(q), "index": row.tolist(), "similarity": figures.rounded(s)}
            for q, row, s in zip(np.searchsorted(kept, query), np.searchsorted(kept, nearest), similarity, strict=True)
        ],
        "spectrum": figures.spectrum(report.spectrum),
    }


def _portrayed(portraits: Portraits | None, kept: NDArray[np.int64]) -> dict[str, Any]:
    """What the page shows of the `kept` (K,) of the samples, by their places among those."""
    if portraits is None or not len(kept):
        return {"sprite": None, "closeups": None, "lines": {}, "channels": [], "sounds": {}, "columns": [], "cells": []}
    place = {int(i): k for k, i in enumerate(kept)}
    large = None
    if portraits.closeups is not None and len(portraits.closeups[0]):
        index, closeups = portraits.closeups
        large = sprite(closeups, CLOSEUPS, max(LARGE)) | {
            "place": {place[int(i)]: k for k, i in enumerate(index) if int(i) in place}
        }
    sounds = {place[i]: file for i, file in portraits.sounds.items() if i in place}
    return {
        "sprite": sprite(portraits.thumbnails[kept]),
        "closeups": large,
        "lines": {place[i]: [figures.rounded(line, 3) for line in x] for i, x in portraits.lines.items() if i in place},
        "channels": list(portraits.channels),
        "sounds": {k: f"data:{mime(file)};base64,{base64.b64encode(file).decode()}" for k, file in sounds.items()},
        "columns": list(portraits.columns),
        "cells": [list(portraits.cells[i]) for i in kept] if len(portraits.cells) else [],
    }


def _json(data: Any) -> Markup:
    """JSON that stands in a script element, where no text may look like the element's end or break a line of script."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate({ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}))


def _flat(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """The settings one by one, nested ones as outer.inner."""
    rows: list[tuple[str, str]] = []
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            rows += _flat(value, f"{prefix}{name}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
            rows.append((f"{prefix}{name}", text))
    return rows
