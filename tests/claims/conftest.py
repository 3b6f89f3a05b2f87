from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import ipse.claims

CLAIM = """
from ipse.claims import Claim

CLAIM = Claim(
    statement="Ours beats the baseline",
    setting="numbers",
    measure="accuracy",
    unit="%",
    seeds=3,
    long_seeds=4,
    tried="nothing else",
)
"""

RUN = """
def run(seed, long):
    return {"ours": 0.5 + 0.01 * seed, "baseline": 0.4 + 0.1 * long, "also": 7.0}
"""


@pytest.fixture
def claim(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Writes a claim file; only claims written by this exist, and everything happens in an empty folder."""
    folder, here = tmp_path / "claims", tmp_path / "here"
    folder.mkdir()
    here.mkdir()
    monkeypatch.setattr(ipse.claims, "__path__", [str(folder)])
    monkeypatch.setenv("IPSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a file may be written twice within one tick of the clock
    monkeypatch.chdir(here)
    for name in imported():
        monkeypatch.delitem(sys.modules, name)

    def write(name: str = "dcl", run: str = RUN, head: str = CLAIM) -> Path:
        sys.modules.pop(f"ipse.claims.{name}", None)
        path = folder / f"{name}.py"
        path.write_text(head + run)
        return path

    yield write
    for name in imported():
        del sys.modules[name]


def imported() -> list[str]:
    return [name for name in sys.modules if name.startswith("ipse.claims.") and ".harness" not in name]
