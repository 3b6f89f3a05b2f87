"""The progress bar."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from torch import nn


class Progress:
    """A bar with steps, loss, speed and the time left, on stderr; plain lines now and then where stderr is no terminal."""

    def __init__(self, title: str):
        self.title = title
        self.console = Console(stderr=True)

    def start(self, steps: int, first: int) -> None:
        self.steps, self.next_line = steps, 0.0
        columns = (
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(compact=True),
        )
        self.bar = Bar(*columns, console=self.console, disable=not sys.stderr.isatty(), refresh_per_second=4)
        self.bar.start()
        self.task = self.bar.add_task(self.title, total=steps, completed=first, numbers="")

    def record(self, method: nn.Module, record: dict[str, Any]) -> None:
        numbers = f"loss {record['loss']:.3f}  {record['images_per_second']:.0f} images/s"
        numbers += "".join(f"  {k.removeprefix('watch/')} {v:.3g}" for k, v in record.items() if k.startswith("watch/"))
        self.bar.update(self.task, completed=record["step"] + 1, numbers=numbers)
        share = (record["step"] + 1) / self.steps
        if self.bar.disable and share >= self.next_line:
            print(f"{self.title}: {share:4.0%}  step {record['step'] + 1}/{self.steps}  {numbers}", file=sys.stderr)
            self.next_line = share + 0.1

    def event(self, step: int, text: str) -> None:
        self.console.print(f"step {step}: {text}", style="yellow")

    def close(self) -> None:
        self.bar.stop()
