"""What is asked of every kind of source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from ipse.data.digest import Progress
from ipse.data.form import Form
from ipse.data.images import Images
from ipse.data.store import Opened, Skipped
from ipse.errors import UserError


@dataclass(frozen=True)
class Wanted:
    """How DATA is to be opened.

    size: of the views that a model will see: pixels a side, seconds, or steps; None decides by the data.  cache: where to keep
    what is made.  like: the training part, when this is the test part, which must be of the same form.  modality: what the user
    says it is; None finds out.  form: of the samples that a model was made for, when it is opened for one.  label: the column of a
    table that holds the labels; None finds one by its name.
    """

    size: float | None
    cache: Path
    progress: Progress
    like: Opened | None = None
    modality: str | None = None
    form: Form | None = None
    label: str | None = None

    @property
    def side(self) -> int | None:
        """The size as whole pixels or steps."""
        return None if self.size is None else round(self.size)

    @property
    def left_out(self) -> tuple[str, ...]:
        """The columns or channels that the training part left out, which is said already."""
        return () if self.like is None else self.like.left_out


class Source(Protocol):
    """Something that opens as samples."""

    def open(self, wanted: Wanted) -> Opened:
        """Makes the samples ready to be read; raises UserError when there are none."""


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


def pictures_of(opened: Opened) -> Images:
    """The training part, which a test part of pictures has to be like.

    Raises UserError when it is of another modality.
    """
    if not isinstance(opened.samples, Images):
        raise UserError(f"the training part is {opened.samples.form['modality']}, but the test part is pictures")
    return opened.samples
