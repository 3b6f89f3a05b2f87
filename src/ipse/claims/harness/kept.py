"""The finished trials of a claim that was stopped."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ipse.claims.harness.machine import environment
from ipse.claims.harness.record import Trial, write_json


class Kept:
    """Trials in a file, which counts only as long as the code that they ran, the versions and the processor are the same.

    The code is that of all of ipse's modules that were imported when the last of them finished, the claim's own among them.
    """

    def __init__(self, path: Path):
        self.path = path
        self.code: list[str] = []
        self.trials: dict[int, Trial] = {}
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["about"] == _about(content["code"]):
                self.code = content["code"]
                self.trials = {trial[0]: Trial(*trial) for trial in content["trials"]}
        except (OSError, ValueError, LookupError, TypeError):
            return

    def keep(self, trial: Trial) -> None:
        """Adds a trial that has just finished."""
        self.trials[trial.seed] = trial
        self.code = sorted({*self.code, *_imported()})
        write_json(self.path, {"about": _about(self.code), "code": self.code, "trials": list(self.trials.values())})

    def forget(self) -> None:
        """Removes the file."""
        self.path.unlink(missing_ok=True)


def _imported() -> set[str]:
    modules = [module for name, module in sys.modules.items() if name.startswith("ipse.") and name != "ipse.cli"]
    return {file for module in modules if (file := getattr(module, "__file__", None))}


def _about(code: Iterable[str]) -> dict[str, Any]:
    contents = b"\0".join(path.read_bytes() if path.is_file() else b"" for path in map(Path, code))
    return {"code": hashlib.blake2b(contents, digest_size=16).hexdigest(), **environment()}
