"""What came of a claim: results/KEY.json."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args

from ipse.claims.harness.claim import KINDS, Claim, Kind, tested
from ipse.claims.harness.machine import environment
from ipse.claims.harness.statistics import Interval, Verdict, bootstrap, interval, sign_flips, student, verdict
from ipse.errors import UserError
from ipse.jobs.files import whole


class Trial(NamedTuple):
    """What `run` gave for one seed, and how long it took."""

    seed: int
    values: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class Record:
    """A claim, every seed's values, and what they say about it.

    arms: the tested values by arm, ours first, one per seed; also: further numbers by name, one per seed.
    effect: the mean of ours - baseline, or of ours where there is no baseline.
    interval: its 95% interval, which covers bootstrap and student; None for one seed.
    sign_flips: the p-value of an effect that is the bound and no more; None for `within`, where it says nothing.
    seconds: what all seeds took together. date: the day, in UTC, as YYYY-MM-DD.
    """

    key: str
    statement: str
    setting: str
    measure: str
    unit: str
    kind: Kind
    bound: float
    seeds: list[int]
    arms: dict[str, list[float]]
    also: dict[str, list[float]]
    effect: float
    interval: Interval | None
    bootstrap: Interval | None
    student: Interval | None
    sign_flips: float | None
    verdict: Verdict
    tried: str
    long: bool
    seconds: float
    date: str
    versions: dict[str, str]
    processor: str
    cores: int

    @staticmethod
    def of(key: str, claim: Claim, trials: Sequence[Trial], *, long: bool, date: str) -> Record:
        """The record of a claim whose seeds have all run here."""
        values = {name: [trial.values[name] for trial in trials] for name in trials[0].values}
        arms = {name: values.pop(name) for name in list(values)[: tested(claim.kind)]}
        return Record(
            key=key,
            **{name: getattr(claim, name) for name in ("statement", "setting", "measure", "unit", "kind", "bound", "tried")},
            seeds=[trial.seed for trial in trials],
            arms=arms,
            also=values,
            **judged(claim.kind, claim.bound, arms),
            long=long,
            seconds=round(sum(trial.seconds for trial in trials), 1),
            date=date,
            **environment(),
        )

    @staticmethod
    def read(path: Path) -> Record:
        """The record in a file; raises UserError when it is none, or when its verdict does not follow from its values."""
        try:
            fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            for name in ("interval", "bootstrap", "student"):
                fields[name] = fields[name] and Interval(*fields[name])
            record = Record(**fields)
            if problem := record.problem():
                raise ValueError(problem)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as e:
            raise UserError(f"{path} is no result of a claim: {e}") from e
        return record

    def write(self, path: Path) -> None:
        """Writes the record to a file, whole or not at all."""
        write_json(path, dataclasses.asdict(self))

    def problem(self) -> str:
        """What is wrong with this record; '' for nothing."""
        values = [*self.arms.values(), *self.also.values()]
        if self.kind not in KINDS or self.verdict not in get_args(Verdict):
            return f"kind {self.kind!r}, verdict {self.verdict!r}"
        if len(self.arms) != tested(self.kind):
            return f"{len(self.arms)} tested arms of kind {self.kind}"
        if not self.seeds or any(len(arm) != len(self.seeds) for arm in values):
            return "not one value per seed in every arm"
        if not all(isinstance(v, (int, float)) and math.isfinite(v) for arm in values for v in arm):
            return "a value that is no finite number"
        if empty := [
            name for name in ("statement", "setting", "measure", "tried", "date", "processor") if not getattr(self, name)
        ]:
            return f"no {empty[0]}"
        again = judged(self.kind, self.bound, self.arms)
        wrong = [name for name, value in again.items() if not _close(getattr(self, name), value)]
        return f"{wrong[0]} does not follow from the values" if wrong else ""


def judged(kind: Kind, bound: float, arms: dict[str, list[float]]) -> dict[str, Any]:
    """The fields of a record that follow from its values."""
    ours, *baseline = arms.values()
    x = [a - b for a, b in zip(ours, baseline[0], strict=True)] if baseline else ours
    found = interval(x)
    beyond = [v + bound if kind == "less" else v - bound for v in x]
    return {
        "effect": math.fsum(x) / len(x),
        "interval": found,
        "bootstrap": found and bootstrap(x),
        "student": found and student(x),
        "sign_flips": None if kind == "within" else sign_flips(beyond),
        "verdict": verdict(kind, bound, found),
    }


def read_all(folder: Path) -> list[Record]:
    """The records in a folder in alphabetical order; UserError when there is no such folder or a file in it is no record."""
    if not folder.is_dir():
        raise UserError(f"no folder {folder} here: results are read in a checkout")
    records = {path: Record.read(path) for path in sorted(folder.glob("*.json"))}
    if wrong := [path for path, record in records.items() if record.key != path.stem]:
        raise UserError(f"{wrong[0]} is the result of another paper: {records[wrong[0]].key}")
    return list(records.values())


def write_json(path: Path, content: Any) -> None:
    """Writes JSON to a file, whole or not at all; raises UserError when that cannot be."""
    with whole(path) as draft:
        draft.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _close(a: Any, b: Any) -> bool:
    """Equal to the last digits, which may differ between versions of numpy."""
    if isinstance(b, tuple):
        return isinstance(a, tuple) and all(map(_close, a, b))
    return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9) if isinstance(a, float) and isinstance(b, float) else bool(a == b)
