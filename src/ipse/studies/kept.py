"""What a study finds, and leaves in a folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

Row = TypeVar("Row")


@dataclass(frozen=True)
class Outcome(Generic[Row]):
    """rows: every result, a dataclass each. curves: what the study plots, by name. figure: an SVG of them."""

    rows: list[Row]
    curves: dict[str, list[float]]
    figure: str

    def keep(self, folder: str | Path) -> None:
        """Writes rows.json, one object per row, curves.json and figure.svg."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        rows: list[Any] = [*self.rows]
        (folder / "rows.json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
        (folder / "curves.json").write_text(json.dumps(self.curves) + "\n")
        (folder / "figure.svg").write_text(self.figure)
