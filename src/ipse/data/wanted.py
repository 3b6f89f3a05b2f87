"""What is asked of every kind of source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from ipse.data.digest import Progress
from ipse.data.store import Opened, Skipped
from ipse.errors import UserError


@dataclass(frozen=True)
class Wanted:
    """How DATA is to be opened.

    size: the side of the views that a model will see; None decides by the pictures.  cache: where to keep what is made.
    like: the training part, when this is the test part: its pictures must be of the same shape.
    """

    size: int | None
    cache: Path
    progress: Progress
    like: Opened | None = None


class Source(Protocol):
    """Something that opens as pictures."""

    def open(self, wanted: Wanted) -> Opened:
        """Makes the pictures ready to be gathered; raises UserError when there are none."""


class Files(NamedTuple):
    """The files that a source is made of: `names` (sorted) below `root`, which are the part `part` of it (train, test)."""

    root: Path
    names: Sequence[str]
    part: str


class NothingLeftError(UserError):
    """Not one sample could be used."""

    def __init__(self, message: str, skipped: list[Skipped]) -> None:
        super().__init__(message)
        self.skipped = skipped


def view_size(side: int) -> int:
    """The side of the views for pictures of this side: theirs, as a multiple of 4 from 8 to 64."""
    return min(64, max(8, -(-side // 4) * 4))


def store_side(size: int) -> int:
    """The side up to which stored pictures help views of `size`: room to crop, as a multiple of 8."""
    room = -(-3 * size // 2) if size <= 128 else -(-8 * size // 7)
    return -(-room // 8) * 8
