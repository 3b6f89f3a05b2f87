"""Records in words and numbers that people read."""

from __future__ import annotations

from collections.abc import Sequence

from ipse.claims.harness.record import Record
from ipse.claims.harness.statistics import Interval


def spoken(record: Record) -> str:
    """What came of a claim, for a terminal."""
    lines = [
        f"{record.key}: {record.statement}",
        f"  {record.setting}: {record.measure}, mean of {counted(len(record.seeds), 'seed')}, {minutes(record.seconds)}",
        *(f"  {name}: {number(mean(values), record.unit)}" for name, values in record.arms.items()),
        *(f"  ({name}: {plain(mean(values))})" for name, values in record.also.items()),
        f"  claimed: {claimed(record)}",
        f"  found: {effect(record)}",
        f"  verdict: {record.verdict}",
    ]
    return "\n".join(lines)


def claimed(record: Record) -> str:
    """What is tested, such as `DCL - SimCLR > 0 points`."""
    ours, *baseline = record.arms
    if not baseline:
        return f"{ours} {'≥' if record.kind == 'at_least' else '≤'} {number(record.bound, record.unit)}"
    points = 100 * record.bound if record.unit == "%" else record.bound
    sign = {"greater": f"> {points:g}", "less": f"< {0.0 - points:g}", "within": f"within ±{points:g}"}[record.kind]
    return f"{ours} - {baseline[0]} {sign} {_of_difference(record.unit)}".strip()


def effect(record: Record) -> str:
    """The effect with its interval, such as `+2.21 points [+0.93, +3.49]`."""
    text = _tested(record.effect, record)
    if len(record.arms) == 2:
        text = f"{text} {_of_difference(record.unit)}".strip()
    return f"{text} {span(record.interval, record) if record.interval else '(no interval from one seed)'}"


def span(interval: Interval, record: Record) -> str:
    """An interval of what is tested, such as `[+0.93, +3.49]`."""
    return f"[{_tested(interval.low, record)}, {_tested(interval.high, record)}]"


def number(value: float, unit: str) -> str:
    """A value of the measure; a share as percent."""
    return f"{value:.1%}" if unit == "%" else f"{plain(value)} {unit}".strip()


def plain(value: float) -> str:
    """A number with at most four digits that count."""
    return f"{value:.4g}"


def minutes(seconds: float) -> str:
    """A duration."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return sum(values) / len(values)


def counted(count: int, noun: str) -> str:
    """`1 seed`, `5 seeds`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _tested(value: float, record: Record) -> str:
    """A difference between two arms with its sign, a share's in points; or a value where one arm is tested."""
    if len(record.arms) == 1:
        return number(value, record.unit)
    return f"{100 * value:+.2f}" if record.unit == "%" else f"{value:+.3g}"


def _of_difference(unit: str) -> str:
    return "points" if unit == "%" else unit
