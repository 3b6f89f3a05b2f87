"""What is said of columns and channels that are not as they should be."""

from __future__ import annotations

from collections.abc import Sequence

from ipse.data.store import Skipped

_LISTED = 5  # of one kind that are named one by one


def missing_cells(count: int, what: str) -> str:
    """What happened to cells that cannot be used."""
    return f"{count} {'cell is' if count == 1 else 'cells are'} {what}, taken as missing"


def few(kind: str, found: Sequence[tuple[str, str]], together: bool = True) -> list[Skipped]:
    """Columns or channels by name and what is wrong with them, in a few lines: those with the same reason in one, or only the first ones.

    >>> [note.name for note in few("column", [("a", "empty"), ("b", "empty")])]
    ['columns a, b']
    """
    if not together:
        rest = len(found) - _LISTED
        more = [Skipped(f"{rest} more {kind}{'s' if rest > 1 else ''}", found[-1][1])] if rest > 0 else []
        return [Skipped(f"{kind} {name}", why) for name, why in found[:_LISTED]] + more
    reasons: dict[str, list[str]] = {}
    for name, why in found:
        reasons.setdefault(why, []).append(name)
    return [Skipped(f"{kind}{'s' if len(names) > 1 else ''} {listed(names)}", why) for why, names in reasons.items()]


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
