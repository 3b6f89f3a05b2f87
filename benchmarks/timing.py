"""Fair timing: the contestants take turns, and each gets the median of its rounds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from statistics import median
from typing import Any

import torch

Figures = dict[str, Any]


def side_by_side(contestants: Mapping[str, tuple[int, Callable[[], Any]]], rounds: int, seconds: float = 0.5) -> Figures:
    """Rates of contestants {name: (items per call, call)} in items per second: the median, least and most of `rounds`.

    In every round each contestant runs for about `seconds` and at least once, after one call to warm up before the first round:
    what disturbs the machine for a while disturbs all of them.
    """
    for _, call in contestants.values():
        call()
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, (items, call) in contestants.items():
            start, calls = time.perf_counter(), 0
            while calls == 0 or time.perf_counter() - start < seconds:
                call()
                calls += 1
            rates[name].append(items * calls / (time.perf_counter() - start))
    return {name: spread(values) for name, values in rates.items()}


def beside(
    contestants: Mapping[str, tuple[int, Callable[[], Any]]], rounds: int, seconds: float, absent: Sequence[str] = ()
) -> Figures:
    """What `side_by_side` gives, and the packages that could not take part."""
    return {"rates": side_by_side(contestants, rounds, seconds), "absent": list(absent)}


def against(figures: Figures) -> str:
    """A table of what `beside` gives; every other contestant with how many times as fast the first is."""
    rates: dict[str, Figures] = figures["rates"]
    first = next(iter(rates))
    lines = [f"| | views per second | {first} is so many times this |", "|---|---:|---:|"]
    for name, rate in rates.items():
        times = "" if name.startswith(first) else f"**{rates[first]['median'] / rate['median']:.1f}**"
        lines.append(f"| {name} | {show(rate)} | {times} |")
    lines += [f"\nNot measured: {name} is not installed (`pip install 'ipse[bench]'`)." for name in figures["absent"]]
    return "\n".join(lines)


def missing(*packages: str) -> list[str]:
    """Which of the packages are not installed."""
    return [name for name in packages if find_spec(name) is None]


def spread(values: list[float]) -> Figures:
    """The median of the rounds with the least and the most of them."""
    return {"median": median(values), "min": min(values), "max": max(values)}


def show(figures: Mapping[str, float], digits: int = 0) -> str:
    """A median with its range, as text."""
    return f"{figures['median']:,.{digits}f} ({figures['min']:,.{digits}f} .. {figures['max']:,.{digits}f})"


def machine() -> Figures:
    """The machine in generic words."""
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
    try:
        with open("/proc/cpuinfo") as file:
            flags = next((line.split() for line in file if line.startswith("flags")), [])
    except OSError:
        flags = []
    return {"threads": torch.get_num_threads(), "instructions": [w for w in wanted if w in flags], "torch": torch.__version__}
