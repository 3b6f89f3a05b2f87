"""What the pages need from mkdocs: the catalogue as a page of its own, and worked examples of docstrings as code."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

EXAMPLE = re.compile(r"^>>> .*(?:\n(?!\n).*)*", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds papers.html."""
    from ipse.papers.page import write_page

    with tempfile.TemporaryDirectory() as folder:
        page = write_page(Path(folder) / "papers.html").read_text(encoding="utf-8")
    files.append(File.generated(config, "papers.html", content=page))
    return files


class Examples(griffe.Extension):
    """Fences the lines of a docstring from `>>>` to the next empty one, which Markdown would read as a quotation."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = EXAMPLE.sub(lambda example: f"```pycon\n{example[0]}\n```", obj.docstring.value)
