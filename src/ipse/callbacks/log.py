"""Logs on disk."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from torch import nn


class JsonLog:
    """One JSON object per line in metrics.jsonl. A resumed run drops the lines of steps that it takes again."""

    def __init__(self, path: Path):
        self.path = path

    def start(self, steps: int, first: int) -> None:
        kept = [line for line in read_history(self.path) if line.get("step", 0) < first and "evaluation" not in line]
        temporary = self.path.with_suffix(".part")
        temporary.write_text("".join(json.dumps(line) + "\n" for line in kept))
        temporary.replace(self.path)
        before = max((line.get("seconds", 0.0) for line in kept), default=0.0)
        self.began = time.perf_counter() - before
        self.file = open(self.path, "a", buffering=1)  # noqa: SIM115

    def record(self, method: nn.Module, record: dict[str, Any]) -> None:
        record["seconds"] = round(time.perf_counter() - self.began, 3)
        self.file.write(json.dumps({k: _short(v) for k, v in record.items()}) + "\n")

    def event(self, step: int, text: str) -> None:
        self.file.write(json.dumps({"step": step, "event": text}) + "\n")

    def close(self) -> None:
        self.file.close()


class TensorBoardLog:
    """The same numbers for TensorBoard: `tensorboard --logdir RUN`."""

    def __init__(self, folder: Path):
        self.folder = folder

    def start(self, steps: int, first: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(self.folder), purge_step=first or None, flush_secs=10)

    def record(self, method: nn.Module, record: dict[str, Any]) -> None:
        for name, value in record.items():
            if name != "step" and isinstance(value, (int, float)):
                self.writer.add_scalar(name, value, record["step"])

    def event(self, step: int, text: str) -> None:
        self.writer.add_text("event", text, step)

    def close(self) -> None:
        self.writer.close()


def read_history(path: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl; a last line cut short by a kill is left out."""
    lines: list[dict[str, Any]] = []
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                lines.append(json.loads(line))
            except json.JSONDecodeError:
                continue
    return lines


def _short(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value
