"""What the numbers of a claim depend on beside its code."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ipse import __version__


def environment() -> dict[str, Any]:
    """Versions, the model of the processor, and how many of its cores may be used; no name of the machine."""
    packages = ("torch", "timm", "numpy", "scikit-learn")
    return {
        "versions": {"python": platform.python_version(), "ipse": __version__} | {p: _version(p) for p in packages},
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    """The model of the processor, such as `Intel(R) Xeon(R) Processor @ 2.50GHz`."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8", errors="replace").splitlines() if information.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "") or platform.processor() or platform.machine()
