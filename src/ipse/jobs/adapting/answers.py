"""What a stream was answered, and how right that was."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ipse.jobs.adapting.start import Segment
from ipse.jobs.files import whole

COLUMNS = ("prediction", "confidence", "entropy", "source", "bn", "guarded")  # kept of each answer
WINDOW = 256  # answers that a curve is a mean of


@dataclass
class Answers:
    """The answers of a stream in their order, with room for all of them.

    y: (N,) the labels of the samples, -1 where none. method: what adapts. compared: whether new batch statistics alone answer too.
    record: (answers,) by column. count: how many there are.
    """

    segments: Sequence[Segment]
    y: NDArray[np.int64]
    method: str
    compared: bool
    record: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    count: int = 0

    def __post_init__(self) -> None:
        self.record = self.record or {name: np.zeros(self.end(len(self.segments) - 1), np.float32) for name in COLUMNS}

    @property
    def columns(self) -> dict[str, str]:
        """Where the answers of each model are, by its name."""
        return {"source": "source"} | ({"bn-adapt": "bn"} if self.compared else {}) | {self.method: "prediction"}

    @property
    def judged(self) -> bool:
        """Whether any sample has a label."""
        return bool((self.y >= 0).any())

    def add(self, logits: Tensor, source: Tensor, bn: Tensor | None, guarded: bool) -> None:
        """Notes a batch by its logits (B, K) from the adapted model, the source and new batch statistics; guarded: whether the source stood in."""
        p = logits.float().softmax(1).cpu()
        rows = slice(self.count, self.count + len(p))
        confidence, prediction = p.max(1)
        answers = {
            "prediction": prediction,
            "confidence": confidence,
            "entropy": -(p * p.clamp(min=1e-12).log()).sum(1),
            "source": source.argmax(1).cpu(),
            "bn": prediction if bn is None else bn.argmax(1).cpu(),
            "guarded": torch.full((len(p),), float(guarded)),
        }
        for name, values in answers.items():
            self.record[name][rows] = values.numpy()
        self.count = rows.stop

    def end(self, number: int) -> int:
        """How many answers there are at the end of a segment."""
        return sum(len(s.index) for s in self.segments[: number + 1])

    def row(self, number: int) -> dict[str, Any]:
        """What came of one segment."""
        segment, stop = self.segments[number], self.end(number)
        rows = slice(stop - len(segment.index), stop)
        y = self.y[segment.index]
        has = y >= 0
        prediction = {name: self.record[column][rows] for name, column in self.columns.items()}
        return {
            "segment": segment.name,
            "samples": len(segment.index),
            "judged": int(has.sum()),
            "error": {name: float((p[has] != y[has]).mean()) for name, p in prediction.items()} if has.any() else {},
            "changed": float((self.record["prediction"][rows] != self.record["source"][rows]).mean()),
            "entropy": float(self.record["entropy"][rows].mean()),
            "by_source": float(self.record["guarded"][rows].mean()),
        }

    def history(self, batch_size: int) -> list[dict[str, Any]]:
        """Moving means over the last answers, a line per batch."""
        y = np.concatenate([self.y[s.index] for s in self.segments])
        shown = {"error": "prediction", "error of the source": "source"} | (
            {"error of bn-adapt": "bn"} if self.compared else {}
        )
        record, lines = self.record, []
        for stop in range(batch_size, self.count + 1, batch_size):
            rows = slice(max(0, stop - WINDOW), stop)
            has = y[rows] >= 0
            line: dict[str, Any] = {"step": stop}
            if has.any():
                line |= {name: float((record[column][rows][has] != y[rows][has]).mean()) for name, column in shown.items()}
            line["entropy"] = float(record["entropy"][rows].mean())
            line["agreement with the source"] = float((record["prediction"][rows] == record["source"][rows]).mean())
            lines.append(line)
        return lines

    def write(self, path: Path, samples: Sequence[str], classes: Sequence[str]) -> None:
        """Writes a line per answer; samples: the names of all samples."""

        def named(label: float) -> str:
            return "" if label < 0 else classes[int(label)] if int(label) < len(classes) else str(int(label))

        with whole(path) as draft, draft.open("w", newline="", encoding="utf-8", errors="replace") as file:
            writer = csv.writer(file)
            writer.writerow(["name", "segment", "prediction", "confidence", "source", "label", "answered_by"])
            asked = [(segment.name, i) for segment in self.segments for i in segment.index.tolist()]
            for row, (segment, i) in enumerate(asked):
                r = {name: values[row] for name, values in self.record.items()}
                said = [named(r["prediction"]), f"{r['confidence']:.4f}", named(r["source"]), named(self.y[i])]
                writer.writerow([samples[i], segment, *said, "source" if r["guarded"] else self.method])


def means(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """What the rows of segments say on the whole."""
    weights = [row["samples"] for row in rows]
    return {
        name: float(np.average([row[name] for row in rows], weights=weights)) for name in ("changed", "entropy", "by_source")
    }
