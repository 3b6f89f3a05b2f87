"""What a study leaves in a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any


def keep(folder: str | Path, rows: Sequence[Any], curves: Mapping[str, Sequence[float]], figure: str) -> None:
    """Writes rows.json, one object per row (a dataclass), curves.json and figure.svg."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rows.json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    (folder / "curves.json").write_text(json.dumps(curves) + "\n")
    (folder / "figure.svg").write_text(figure)
