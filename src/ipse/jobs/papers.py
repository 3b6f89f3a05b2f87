"""The catalogue at the command line."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from ipse.errors import UserError
from ipse.jobs.files import whole
from ipse.papers import Paper

_EXPECTS = {"search": "WORDS", "show": "a KEY", "page": "a FILE.html"}
_OPTIONS = {"method": "--method", "regularizer": "--plus", "schedule": "--schedule", "metric": "--metrics, --watch"}
_ELSE = {
    "encoders (--encoder)": {
        "small_conv": "a small convolutional network for 8 to 64 px",
        "small_vit, tiny_vit": "small vision transformers for 8 to 64 px",
        "any timm name": "resnet18, vit_tiny_patch16_224, convnext_atto, ...",
    },
    "data": {
        "digits, mnist5k": "ship with ipse's dependencies",
        "cifar10, fashion-mnist": "found in $IPSE_DATA or the cache, else downloaded",
        "anything of yours": "a folder of pictures, .npy, .npz, .parquet, .tar",
    },
}


def papers(
    action: Annotated[
        Literal["search", "show", "page"] | None, "search WORDS, show KEY, or page FILE.html; none lists all"
    ] = None,
    words: Annotated[Sequence[str], "what to look for, or which"] = (),
) -> str:
    """List the papers of the catalogue by job, search them by meaning, show one, or write them all as a page with search."""
    from ipse.papers import show

    width = _width()
    if action is None:
        return show.list_text(width)
    text = words if isinstance(words, str) else " ".join(words)
    if not text:
        raise UserError(f"ipse papers {action} needs {_EXPECTS[action]}")
    if action == "search":
        return show.search_text(text, width)
    if action == "show":
        return show.show_text(text, width)
    from ipse.papers.page import write_page

    with whole(text) as draft:
        write_page(draft)
    return f"catalogue: {Path(text).resolve().as_uri()}"


def methods() -> str:
    """List what exists: methods, regularizers, schedules, measures, encoders and data sets by name."""
    from ipse import papers as catalogue

    groups = {
        f"{role}s ({option})": {_name(paper): paper.summary for paper in catalogue.of(kind=role) if paper.role == role}
        for role, option in _OPTIONS.items()
    }
    lines = []
    for head, rows in (groups | _ELSE).items():
        lines += [head, *(_cut(f"  {name:24}{text}", _width()) for name, text in rows.items())]
    return "\n".join(lines)


def _name(paper: Paper) -> str:
    """What to type: schedules go by the name of their function."""
    return (paper.entry or "").rpartition(":")[2] if paper.role == "schedule" else paper.key


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 1].rsplit(" ", 1)[0] + " …"


def _width() -> int:
    return shutil.get_terminal_size((110, 24)).columns
