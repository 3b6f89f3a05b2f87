"""What a claim file says, and how it is found."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Literal, NamedTuple, get_args

from ipse import papers
from ipse.errors import UserError

Kind = Literal["greater", "less", "within", "at_least", "at_most"]
KINDS: tuple[Kind, ...] = get_args(Kind)

OneSeed = Callable[[int, bool], Mapping[str, float]]
"""`run(seed, long)`: one number per arm by its name. First ours, then (for greater, less and within) the baseline; further
numbers are shown with them and not tested. Both arms learn from the same samples for the same compute: see
`harness.compute`."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a paper claims, in one sentence, and how it is tested.

    kind, with the mean over the seeds of what `run` gives:
        greater   ours - baseline > bound          less     baseline - ours > bound
        within    |ours - baseline| < bound
        at_least  ours >= bound, without baseline  at_most  ours <= bound
    unit: of the measure; "%" says that the numbers are shares of 1, which are shown as percent and their differences as points.
    bound: in the measure's own numbers, so 0.02 for two points.
    seeds, long_seeds: how many, in a run of at most ten minutes on two cores and in one that may take hours.
    tried: what was tried before the result was recorded; the baseline's tuning too.
    """

    statement: str
    setting: str
    measure: str
    tried: str
    kind: Kind = "greater"
    bound: float = 0.0
    unit: str = ""
    seeds: int = 5
    long_seeds: int = 10

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r}: there are {', '.join(KINDS)}")
        if self.kind == "within" and not self.bound > 0:
            raise ValueError(f"within takes a bound of more than 0, not {self.bound}")
        if self.seeds < 2 or self.long_seeds < 2:
            raise ValueError("an interval needs two seeds at least")
        if empty := [name for name in ("statement", "setting", "measure", "tried") if not getattr(self, name).strip()]:
            raise ValueError(f"{empty[0]} is empty")


class Found(NamedTuple):
    """A claim with its paper's key and what runs it."""

    key: str
    claim: Claim
    run: OneSeed


def tested(kind: Kind) -> int:
    """How many arms a claim of this kind tests: ours and the baseline, or ours alone."""
    return 1 if kind in ("at_least", "at_most") else 2


def known() -> dict[str, str]:
    """The module of every claim by its paper's key, none of them imported."""
    import ipse.claims

    modules = {info.name.replace("_", "-"): info.name for info in pkgutil.iter_modules(ipse.claims.__path__)}
    return {key: f"ipse.claims.{modules[key]}" for key in papers.everything() if key in modules}


def load(key: str) -> Found:
    """The claim of a paper; raises UserError when there is no such paper, or no claim of it yet."""
    key, modules = papers.find(key).key, known()
    if key not in modules:
        raise UserError(f"no claim of {key!r} yet; there are: {', '.join(modules) or 'none'}")
    module = import_module(modules[key])
    return Found(key, module.CLAIM, module.run)
