"""Pages that hold their own style and script, and let nothing else in."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def rendered(name: str, **values: Any) -> bytes:
    """The page NAME.html.j2 with the style and the script of that name, and their hashes for its content security policy."""
    environment = Environment(
        loader=PackageLoader("ipse.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = (files("ipse.reports").joinpath(f"{name}.{kind}").read_text("utf-8") for kind in ("css", "js"))
    html = environment.get_template(f"{name}.html.j2").render(
        style=Markup(style), script=Markup(script), style_hash=source_hash(style), script_hash=source_hash(script), **values
    )
    # File names that are not valid Unicode reach Python as lone surrogates, which UTF-8 cannot hold.
    return re.sub("[\ud800-\udfff]", "\ufffd", html).encode()


def source_hash(text: str) -> str:
    """What the content security policy calls a style or script by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
