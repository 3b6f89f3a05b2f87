"""The progress bar."""

from __future__ import annotations

import math
import sys
import time
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from torch import nn


class Progress:
    """A bar with steps, loss, speed and the time left, on stderr; where that is no terminal, a line at every tenth of the way."""

    def __init__(self, title: str):
        self.title = title
        self.console = Console(stderr=True)
        columns = (
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(compact=True),
        )
        plain = not (sys.stderr.isatty() and self.console.is_interactive)
        self.bar = Bar(*columns, console=self.console, disable=plain, refresh_per_second=4)

    def start(self, steps: int, first: int) -> None:
        self.steps, self.first, self.began, self.next_line = steps, first, time.perf_counter(), 0.0
        self.bar.start()
        self.task = self.bar.add_task(self.title, total=steps, completed=first, numbers="")

    def record(self, method: nn.Module, record: dict[str, Any]) -> None:
        done = record["step"] + 1
        numbers = f"loss {record['loss']:.3f}"
        if "samples_per_second" in record:
            numbers += f"  {record['samples_per_second']:.0f} samples/s"
        numbers += "".join(f"  {name[6:]} {value:.3g}" for name, value in record.items() if name.startswith("watch/"))
        self.bar.update(self.task, completed=done, numbers=numbers)
        if self.bar.disable and done / self.steps >= self.next_line:
            self.next_line = math.floor(10 * done / self.steps + 1) / 10
            seconds = (time.perf_counter() - self.began) / max(1, done - self.first) * (self.steps - done)
            left = f"  left {timedelta(seconds=round(seconds))}" if done < self.steps else ""
            print(f"{self.title}: {done / self.steps:4.0%}  step {done}/{self.steps}  {numbers}{left}", file=sys.stderr)

    def event(self, step: int, text: str) -> None:
        self.console.print(f"step {step}: {text}", style="yellow", markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        self.bar.stop()
