"""Logs on disk."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from ipse.errors import UserError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class JsonLog:
    """One JSON object per line in metrics.jsonl, on disk as soon as it is known.

    A resumed run drops the lines of steps that it takes again. Raises UserError when the disk is full.
    """

    def __init__(self, path: Path):
        self.path = path
        self.file: FileIO | None = None

    def start(self, steps: int, first: int) -> None:
        kept = [line for line in read_history(self.path) if line.get("step", 0) < first and "evaluation" not in line]
        before = max((line.get("seconds", 0.0) for line in kept), default=0.0)
        self.began = time.perf_counter() - before
        temporary = self.path.with_suffix(".part")
        try:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept))
            temporary.replace(self.path)
            self.file = FileIO(self.path, "a")
        except OSError as e:
            raise self._refused(e) from e

    def record(self, method: nn.Module, record: dict[str, Any]) -> None:
        record["seconds"] = round(time.perf_counter() - self.began, 3)
        self._write({name: _short(value) for name, value in record.items()})

    def event(self, step: int, text: str) -> None:
        self._write({"step": step, "event": text})

    def close(self) -> None:
        if self.file is not None:
            self.file.close()

    def _write(self, line: dict[str, Any]) -> None:
        assert self.file is not None
        try:
            self.file.write((json.dumps(line) + "\n").encode())
        except OSError as e:
            raise self._refused(e) from e

    def _refused(self, error: OSError) -> UserError:
        return UserError(
            f"cannot write {self.path} ({error.strerror}); the last saved state is kept: --resume goes on from there"
        )


class TensorBoardLog:
    """The same numbers for TensorBoard: `tensorboard --logdir RUN`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.writer: SummaryWriter | None = None

    def start(self, steps: int, first: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(self.folder), purge_step=first or None, flush_secs=10)

    def record(self, method: nn.Module, record: dict[str, Any]) -> None:
        assert self.writer is not None
        for name, value in record.items():
            if name != "step" and isinstance(value, (int, float)):
                self.writer.add_scalar(name, value, record["step"])

    def event(self, step: int, text: str) -> None:
        assert self.writer is not None
        self.writer.add_text("event", text, step)

    def close(self) -> None:
        if self.writer is not None:
            with suppress(OSError):  # on a full disk metrics.jsonl is what complains
                self.writer.close()


def read_history(path: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl; a line cut short by a kill is left out."""
    if not path.exists():
        return []
    lines = map(_parsed, path.read_text(encoding="utf-8", errors="replace").splitlines())
    return [line for line in lines if line is not None]


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except json.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _short(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value
