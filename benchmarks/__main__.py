"""Runs the benchmarks and writes benchmarks/results.json and docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks import encoders, memory, peer, restorers, throughput, views, views_audio, views_series, views_table
from benchmarks.timing import Figures, machine

ROOT = Path(__file__).parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results.json", ROOT / "docs" / "benchmarks.md"
ALL: dict[str, ModuleType] = {
    "views": views,
    "views-audio": views_audio,
    "views-series": views_series,
    "views-table": views_table,
    "throughput": throughput,
    "memory": memory,
    "peer": peer,
    "restorers": restorers,
    "encoders": encoders,
}


def page(results: Figures) -> str:
    """docs/benchmarks.md from what was measured."""
    parts = {name: ALL[name].render(results[name]) if name in results else "Not measured yet." for name in ALL}
    on = results["machine"]
    text = (Path(__file__).parent / "page.md").read_text(encoding="utf-8")
    return text.format(
        **parts, threads=on["threads"], instructions=", ".join(on["instructions"]) or "none of note", torch=on["torch"]
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which to run: {', '.join(ALL)}; default: all")
    names: list[str] = parser.parse_args().names or list(ALL)
    if wrong := [n for n in names if n not in ALL]:
        parser.error(f"unknown benchmark {wrong[0]!r} (known: {', '.join(ALL)})")
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in names:
        start = time.perf_counter()
        results |= {"machine": machine(), name: ALL[name].measure()}
        print(f"{name}: {time.perf_counter() - start:.0f} s\n\n{ALL[name].render(results[name])}\n", flush=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        PAGE.write_text(page(results), encoding="utf-8")


if __name__ == "__main__":
    main()
