"""Before and after as one HTML file that loads nothing: a slider over each picture."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from ipse.reports.template import rendered


@dataclass(frozen=True)
class Comparison:
    """A picture in versions of one size, the first as it came and the second restored, others beside; `facts` in words.

    measures: by their name, a value per version ('' where there is none).
    """

    name: str
    versions: Sequence[tuple[str, str]]
    facts: Sequence[str] = ()
    measures: Sequence[tuple[str, Sequence[str]]] = ()
    width: int = 1
    height: int = 1


@dataclass(frozen=True)
class ComparisonPage:
    """All comparisons with what was typed, what was skipped and why, and notes."""

    title: str
    subtitle: str
    command: str
    comparisons: Sequence[Comparison]
    skipped: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = field(default_factory=tuple)


def picture(image: Image.Image, profile: bytes | None = None) -> str:
    """An image as the address of its own JPEG file, in the colours of its profile."""
    file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=85, **({"icc_profile": profile} if profile else {}))
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def write_comparison(page: ComparisonPage, path: Path) -> None:
    """Writes the page; the same page gives the same bytes."""
    path.write_bytes(rendered("comparison", page=page))
