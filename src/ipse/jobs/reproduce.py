"""Test a paper's claim in miniature."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated


def reproduce(
    key: Annotated[str, "which paper; `ipse papers` lists them"],
    *,
    seeds: Annotated[int | None, "how many seeds; default: the claim's own number"] = None,
    out: Annotated[
        str | Path | None, "where to write the result; default results/KEY.json in a checkout, else KEY.json"
    ] = None,
    long: Annotated[bool, "more steps and seeds; may take hours"] = False,
) -> str:
    """Test a paper's claim against its baseline at equal compute, and print the effect with its interval and the verdict.

    Every seed's values, the effect, its 95% interval and the verdict (holds, not shown, opposite) are written to a file.
    Ctrl-C keeps the seeds that have finished: the same command goes on after them.
    """
    # Claims stand above the jobs, because they call them: like the code of the catalogue, they are found by name.
    harness = import_module("ipse.claims.harness.trials")
    return str(harness.reproduce(key, seeds=seeds, out=out, long=long))
