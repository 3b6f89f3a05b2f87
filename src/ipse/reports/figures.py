"""What the page's figures are drawn from: small, rounded, plain lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

TITLES = {"loss": "Loss", "grad_norm": "Gradient norm", "lr": "Learning rate", "samples_per_second": "Samples per second"}
CLOCK = ("step", "epoch", "seconds")
POINTS = 600  # drawn per curve
CLASSES = 20  # told apart on the map

Figure = dict[str, Any]


def curves(history: Iterable[Mapping[str, Any]]) -> list[Figure]:
    """Every numeric series of a run's log by step, the loss first, at most 600 points each.

    A step that was logged again, after a run went back, keeps its last value.
    """
    logged: dict[str, dict[float, float]] = {"loss": {}}
    for line in history:
        if _is_number(line.get("step")):
            for name, value in line.items():
                if name not in CLOCK and _is_number(value):
                    logged.setdefault(name, {})[line["step"]] = value
    return [_curve(name, sorted(values.items())) for name, values in logged.items() if values]


def clock(history: Iterable[Mapping[str, Any]]) -> list[list[float | None]]:
    """The epoch and the seconds passed at (at most 600 of) the logged steps: rows of step, epoch, seconds."""
    rows = {line["step"]: line for line in history if _is_number(line.get("step")) and "epoch" in line}
    steps = sorted(rows)[:: max(1, len(rows) // POINTS)]
    return [rounded([step, rows[step].get("epoch"), rows[step].get("seconds")]) for step in steps]


def events(history: Iterable[Mapping[str, Any]]) -> list[Figure]:
    """What happened in a run, in the order of the log: step (or none) and text."""
    return [
        {"step": line["step"] if _is_number(line.get("step")) else None, "text": str(line["event"])}
        for line in history
        if "event" in line
    ]


def spectrum(eigenvalues: NDArray[Any] | None) -> Figure | None:
    """Shares of the variance p_i = l_i / sum l, largest first, and the effective dimension 1 / sum p_i^2.

    The effective dimension (participation ratio) lies between 1, where one direction holds all, and D, where all hold the same.
    `ninety` is how many directions hold 90 %. None where there is no variance to share.
    """
    if eigenvalues is None:
        return None
    values = np.asarray(eigenvalues, dtype=np.float64).ravel()
    values = np.sort(values[np.isfinite(values) & (values > 0)])[::-1]
    if not len(values):
        return None
    share = values / values.sum()
    ninety = int(np.searchsorted(np.cumsum(share), 0.9 - 1e-12)) + 1
    return {
        "share": rounded(share),
        "dimension": float(1 / np.square(share).sum()),
        "ninety": ninety,
        "size": int(np.size(eigenvalues)),
    }


def groups(labels: Sequence[int], classes: Sequence[str]) -> tuple[list[Figure], list[int]]:
    """The map's legend and each sample's entry in it.

    Classes stand in their order; of more than 20, the smaller ones stand together. Samples without a label come last.
    """
    counts = Counter(int(label) for label in labels)
    known = sorted(label for label in counts if label >= 0)
    if len(known) > CLASSES:
        known = sorted(sorted(known, key=lambda label: (-counts[label], label))[: CLASSES - 1])
    legend = [{"name": class_name(label, classes), "count": counts[label], "kind": "class"} for label in known]
    entry = {label: place for place, label in enumerate(known)}
    others = sorted(label for label in counts if label >= 0 and label not in entry)
    if others:
        entry |= dict.fromkeys(others, len(legend))
        name = f"{len(others)} other classes"
        legend.append({"name": name, "count": sum(counts[label] for label in others), "kind": "other"})
    unlabelled = [label for label in counts if label < 0]
    if unlabelled:
        entry |= dict.fromkeys(unlabelled, len(legend))
        name = "no label" if known else "samples"
        legend.append({"name": name, "count": sum(counts[label] for label in unlabelled), "kind": "none"})
    return legend, [entry[int(label)] for label in labels]


def plane(points: NDArray[Any]) -> list[list[int] | None]:
    """Coordinates (N, 2) as whole numbers from 0 to 10000 that keep the aspect; None for a point that is not finite."""
    points = np.asarray(points, dtype=np.float64)
    finite = np.isfinite(points).all(axis=1)
    if not finite.any():
        return [None] * len(points)
    low, high = points[finite].min(axis=0), points[finite].max(axis=0)
    scale = 10_000 / (float((high - low).max()) or 1.0)
    return [
        np.rint((point - low) * scale).astype(int).tolist() if ok else None for point, ok in zip(points, finite, strict=True)
    ]


def class_name(label: int, classes: Sequence[str]) -> str:
    """The name of a label, or its number where it has none; '' for -1."""
    if label < 0:
        return ""
    return str(classes[label]) if label < len(classes) else str(label)


def rounded(values: Iterable[Any], digits: int = 5) -> list[float | None]:
    """Numbers with five significant digits, or another number of them; None for what is missing or not finite."""
    return [float(f"{v:.{digits}g}") if v is not None and np.isfinite(v) else None for v in values]


def _curve(name: str, items: list[tuple[float, float]]) -> Figure:
    step, value = (np.array(column, dtype=np.float64) for column in zip(*items, strict=True))
    finite = value[np.isfinite(value)]
    log = len(finite) > 0 and finite.min() > 0 and finite.max() > 100 * finite.min()
    smooth = _smooth(value, log)
    kept = _thin(value)
    return {
        "name": name,
        "title": TITLES.get(name, name),
        "x": step[kept].tolist(),
        "y": rounded(value[kept]),
        "smooth": None if smooth is None else rounded(smooth[kept]),
        "log": bool(log),
        "missing": len(value) - len(finite),
    }


def _smooth(value: NDArray[np.float64], log: bool) -> NDArray[np.float64] | None:
    """The centered mean over a 25th of the series, or None for one that goes up and down too little to need it."""
    finite = np.isfinite(value)
    y = np.where(finite, value, 1.0)
    y = np.log(y) if log else y
    if finite.sum() < 20 or np.abs(np.diff(y[finite])).sum() <= 6 * np.ptp(y[finite]):
        return None
    window = np.ones(max(3, len(y) // 25 | 1))
    mean = np.convolve(y * finite, window, "same") / np.maximum(np.convolve(finite, window, "same"), 1)
    mean[~finite] = np.nan
    return np.asarray(np.exp(mean) if log else mean)


def _thin(value: NDArray[np.float64]) -> NDArray[np.int64]:
    """Which points to draw: all, or the lowest and highest of 300 stretches, so that no spike is lost."""
    if len(value) <= POINTS:
        return np.arange(len(value))
    kept = {0, len(value) - 1}
    for part in np.array_split(np.arange(len(value)), POINTS // 2 - 1):
        finite = part[np.isfinite(value[part])]
        kept.update([finite[value[finite].argmin()], finite[value[finite].argmax()]] if len(finite) else [part[0]])
    return np.array(sorted(kept), dtype=np.int64)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
