"""Writes docs/RESULTS.md from results/*.json, in a checkout: `python -m ipse.claims`; `--list` names the papers with a claim."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ipse.claims.harness.claim import known
from ipse.claims.harness.page import page
from ipse.claims.harness.record import read_all
from ipse.errors import UserError


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, 1 when `--check` finds the page out of date, 2 for a mistake of the user's."""
    parser = argparse.ArgumentParser(prog="python -m ipse.claims", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when docs/RESULTS.md is out of date")
    parser.add_argument("--list", action="store_true", help="write nothing; print the key of every paper with a claim")
    given = parser.parse_args(arguments)
    if given.list:
        print(*known(), sep="\n")
        return 0
    path = Path("docs/RESULTS.md")
    try:
        records = read_all(Path("results"))
        tested = {record.key for record in records}
        text = page(records, [key for key in known() if key not in tested])
    except UserError as e:
        print(f"ipse: error: {e}", file=sys.stderr)
        return 2
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return 0
    if given.check:
        print(f"{path} is out of date: run `python -m ipse.claims`", file=sys.stderr)
        return 1
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
