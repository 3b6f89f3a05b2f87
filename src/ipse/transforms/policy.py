"""How far views may go: the settings of one modality, their limits, and what they become for one look."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from typing_extensions import Self

from ipse.errors import UserError, unknown
from ipse.transforms.sees import Look


@dataclass(frozen=True)
class Policy:
    """Chances in [0, 1] and ranges as (low, high); the fields of each modality's own policy are what `--views` may set."""

    modality: ClassVar[str] = ""
    limits: ClassVar[Mapping[str, tuple[float, float]]] = {}
    """Of the settings that are no chances and no shares."""

    def change(self, changes: Mapping[str, Any]) -> Self:
        """This policy with other values for some fields; raises UserError for unknown names and values that make no sense."""
        usual = {f.name: getattr(self, f.name) for f in fields(self)}
        fitting: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in usual:
                raise unknown("view setting", name, usual)
            numbers = _numbers(value, 2 if isinstance(usual[name], tuple) else 1)
            low, high = self.limits.get(name, (0.0, 1.0))
            if not numbers or not low <= numbers[0] <= numbers[-1] <= high:
                kind, example = "a number", str(usual[name])
                if isinstance(usual[name], tuple):
                    kind, example = "a low and a high number", "[{}, {}]".format(*usual[name])
                limits = f"from {low:g} to {high:g}" if high < math.inf else f"of at least {low:g}"
                raise UserError(f"view setting {name} takes {kind} {limits}, for example {name}={example}, not {value!r}")
            fitting[name] = numbers if isinstance(usual[name], tuple) else numbers[0]
        return replace(self, **fitting)

    def weak(self) -> Self:
        """Only mild changes."""
        raise NotImplementedError

    def of(self, look: Look) -> Self:
        """What this policy means for one look; what the look changes in other modalities ("image.crop") does not concern this one."""
        base = self.weak() if look.strength == "weak" else self
        own = {f.name for f in fields(self)}
        changes = {name.removeprefix(f"{self.modality}."): value for name, value in look.changes.items()}
        return replace(base, **{name: value for name, value in changes.items() if name in own})


def _numbers(value: Any, n: int) -> tuple[float, ...]:
    """`value` as n numbers; none when it is something else. YAML reads 1e-3 as a word, so words that are numbers count."""
    parts = value if isinstance(value, (tuple, list)) else [value]
    if len(parts) != n or isinstance(value, (tuple, list)) != (n > 1) or any(isinstance(part, bool) for part in parts):
        return ()
    try:
        numbers = tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        return ()
    return numbers if all(map(math.isfinite, numbers)) else ()
