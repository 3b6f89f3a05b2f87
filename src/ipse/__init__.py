"""Models that teach themselves."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipse.errors import UserError
    from ipse.jobs.adapt import adapt
    from ipse.jobs.distill import distill
    from ipse.jobs.embed import embed
    from ipse.jobs.estimator import Encoder
    from ipse.jobs.evaluate import evaluate
    from ipse.jobs.export import export, load
    from ipse.jobs.forget import forget
    from ipse.jobs.pretrain import pretrain
    from ipse.jobs.report import report
    from ipse.jobs.reproduce import reproduce
    from ipse.jobs.restore import restore
    from ipse.jobs.run import Run
    from ipse.jobs.selftrain import selftrain

__version__ = "0.1.0"
__all__ = [
    "Encoder",
    "Run",
    "UserError",
    "adapt",
    "distill",
    "embed",
    "evaluate",
    "export",
    "forget",
    "load",
    "pretrain",
    "report",
    "reproduce",
    "restore",
    "selftrain",
]

_HOME = {
    "Encoder": "ipse.jobs.estimator",
    "Run": "ipse.jobs.run",
    "UserError": "ipse.errors",
    "load": "ipse.jobs.export",
    **{
        name: f"ipse.jobs.{name}"
        for name in (
            "adapt",
            "distill",
            "embed",
            "evaluate",
            "export",
            "forget",
            "pretrain",
            "report",
            "reproduce",
            "restore",
            "selftrain",
        )
    },
}


def __getattr__(name: str) -> Any:
    """Imports a job when it is first asked for, so that `import ipse` is instant."""
    if name not in _HOME:
        raise AttributeError(f"module 'ipse' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value
