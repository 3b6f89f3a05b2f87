"""The order of the house, its types and its form."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*command: str) -> None:
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def tool(name: str) -> str:
    path = Path(sys.executable).with_name(name)
    found = str(path) if path.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def test_form() -> None:
    run(tool("ruff"), "check", ".")
    run(tool("ruff"), "format", "--check", ".")


def test_types() -> None:
    run(tool("mypy"))


def test_a_folder_imports_only_from_those_below_it() -> None:
    run(tool("lint-imports"))


def test_every_command_starts_at_once_and_without_torch() -> None:
    program = "import sys; from ipse.cli import main\ntry: main(sys.argv[1:])\nexcept SystemExit as e: assert not e.code\nassert 'torch' not in sys.modules"
    for words in (
        ["--help"],
        ["papers"],
        ["papers", "show", "dcl"],
        ["methods"],
        ["pretrain", "--help"],
        ["reproduce", "--help"],
    ):
        run(sys.executable, "-c", program, *words)
