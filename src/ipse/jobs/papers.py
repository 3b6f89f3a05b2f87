"""The catalogue at the command line."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Literal

from ipse.errors import UserError


def papers(
    action: Annotated[
        Literal["search", "show", "page"] | None, "search WORDS, show KEY, or page FILE.html; none lists all"
    ] = None,
    words: Annotated[str | None, "what to look for, or which"] = None,
) -> str:
    """List the papers of the catalogue by job, search them by meaning, show one, or write them all as a page with search."""
    from ipse.papers import show

    width = shutil.get_terminal_size((110, 24)).columns
    if action is None:
        return show.list_text(width)
    if not words:
        raise UserError(
            f"ipse papers {action} needs {'a FILE.html' if action == 'page' else 'a KEY' if action == 'show' else 'WORDS'}"
        )
    if action == "search":
        return show.search_text(words, width)
    if action == "show":
        return show.show_text(words, width)
    from ipse.papers.page import write_page

    write_page(Path(words))
    return f"catalogue: {Path(words).resolve().as_uri()}"


def methods() -> str:
    """List what exists: methods, regularizers, schedules, measures, encoders and data sets by name."""
    from ipse import papers as catalogue

    width = shutil.get_terminal_size((110, 24)).columns
    lines = []
    for role, option in (
        ("method", "--method"),
        ("regularizer", "--plus"),
        ("schedule", "--schedule"),
        ("metric", "--metrics, --watch"),
    ):
        lines.append(f"{role}s ({option})")
        for paper in catalogue.of(kind=role):
            if paper.role == role:
                name = (paper.entry or "").rpartition(":")[2] if role == "schedule" else paper.key
                text = f"  {name:22}{paper.summary}"
                lines.append(text if len(text) <= width else text[: width - 1].rsplit(" ", 1)[0] + " …")
    lines += [
        "encoders (--encoder)",
        f"  {'small_conv':22}a small convolutional network for 8 to 64 px",
        f"  {'small_vit, tiny_vit':22}small vision transformers for 8 to 64 px",
    ]
    lines += [
        f"  {'any timm name':22}resnet18, vit_tiny_patch16_224, convnext_atto, ...",
        "data",
        f"  {'digits, mnist5k':24}ship with ipse's dependencies",
    ]
    lines += [
        f"  {'cifar10, fashion-mnist':24}found in $IPSE_DATA or the cache, else downloaded",
        f"  {'anything of yours':24}a folder of pictures, .npy, .npz, .parquet, .tar",
    ]
    return "\n".join(lines)
