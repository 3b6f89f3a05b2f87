"""The door to all data."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from ipse.data.cache import cache_folder
from ipse.data.digest import Progress, digest
from ipse.data.form import MODALITIES, Form, size_of
from ipse.data.labels import LABEL_FILES, called, check_names, in_order, look_up, merged, named_by, read_labels, renumbered
from ipse.data.masks import with_masks
from ipse.data.samples import Samples
from ipse.data.sources import Found, find
from ipse.data.store import Opened, Skipped
from ipse.data.tabular import Frame, FrameFiles
from ipse.data.wanted import NothingLeftError, Wanted
from ipse.errors import UserError, unknown


@dataclass(frozen=True)
class Data:
    """Samples to learn from and, where DATA has them, samples to test on.

    classes: what the labels mean; () without labels.  skipped: what was left out, and why.  key: the same for the same content.
    ignored: how many files are of no known kind.
    """

    name: str
    train: Samples
    test: Samples | None
    classes: tuple[str, ...]
    skipped: list[Skipped] = field(repr=False)
    key: str
    ignored: int = 0

    @property
    def form(self) -> Form:
        """What the samples are, and the measures of the views that a model should see."""
        return self.train.form


def open_data(
    data: Any,
    *,
    labels: str | Path | None = None,
    modality: str | None = None,
    size: float | None = None,
    form: Form | None = None,
    cache: Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Data:
    """Opens DATA: a folder, a file, arrays, a data frame, a `datasets` object, or a name; what is open already stays as it is.

    labels: FILE or FILE:COLUMN, a CSV of sample and label, or a COLUMN of the table that is the data or lies in its folder. They take
    the place of the data's own labels in the parts that they name samples of. A FOLDER holds masks of pictures (`ipse.data.masks`).
    modality: image, audio, series or table; None finds out by what DATA contains.
    size: of the views the model will see: pixels a side, seconds, or steps; None decides by the data.
    form: of the samples a model was made for, as which DATA is opened; it takes the place of modality and size.
    cache: where decoded samples are kept; None is $IPSE_CACHE or ~/.cache/ipse.
    progress: called with (what, done, total); total is 0 where it is unknown.
    Raises UserError when there is nothing to learn from.
    """
    if isinstance(data, Data):
        return data
    if size is not None and not size > 0:
        raise UserError(f"the size of the views must be more than 0, got {size}")
    if modality is not None and modality not in MODALITIES:
        raise unknown("modality", modality, MODALITIES)
    if form is not None:
        modality, size = form["modality"], size_of(form)
    file, column = (None, None) if labels is None else named_by(labels)
    folder = file if file is not None and file.is_dir() else None
    file = None if folder else file
    table = {} if file is None else read_labels(file, column)  # before the samples, which may take long
    quiet: Progress = lambda what, done, total: None  # noqa: E731
    wanted = Wanted(
        size, cache_folder(cache), progress or quiet, modality=modality, form=form, label=column if file is None else None
    )
    with ExitStack() as stack:
        found = find(data, wanted, stack)
        if wanted.label is not None and not isinstance(found.train, (Frame, FrameFiles)):
            file = _beside(found, wanted.label)
            table = read_labels(file, wanted.label)
        train = found.train.open(wanted)
        skipped = found.skipped + train.skipped
        test = None
        if found.test is not None:
            try:
                test = found.test.open(replace(wanted, like=train))
                skipped += test.skipped
            except NothingLeftError as error:
                skipped += error.skipped
    classes = merged(train.classes, test.classes) if test else train.classes
    opened = [_relabelled(part, classes) for part in (train, test) if part]
    key = digest(train.key, test and test.key)
    if folder is not None:
        classes, opened, content = with_masks(folder, opened, skipped)
        key = digest(key, content)
    if file is not None:
        classes, opened = _labelled(file, table, classes, opened, skipped)
        key = digest(key, sorted(table.items()))
    return Data(found.name, opened[0], opened[1] if test else None, classes, skipped, key, found.ignored)


def _beside(found: Found, column: str) -> Path:
    """The table of labels inside of a folder of data; raises UserError where there is none."""
    for name in LABEL_FILES if found.folder is not None else ():
        if found.folder is not None and (found.folder / name).is_file():
            return found.folder / name
    raise UserError(
        f"there is no file of labels {column!r}, and {found.name} has no {' or '.join(LABEL_FILES)} with such a column"
    )


def _relabelled(part: Opened, classes: tuple[str, ...]) -> Samples:
    samples = part.samples
    return samples if part.classes == classes else samples.relabelled(renumbered(samples.y, part.classes, classes))


def _labelled(
    path: Path, table: dict[str, str | None], classes: tuple[str, ...], parts: list[Samples], skipped: list[Skipped]
) -> tuple[tuple[str, ...], list[Samples]]:
    """The classes and parts with the labels of a CSV; a part none of whose samples it names keeps its own."""
    check_names(path, table, chain(*(part.names for part in parts), (item.name for item in skipped)))
    given = in_order(label for label in table.values() if label is not None)
    named = classes if set(given) <= set(classes) else given
    return named, [
        part.relabelled(
            look_up(table, part.names, len(part), named)
            if any(called(table, name) in table for name in part.names)
            else renumbered(part.y, classes, named)
        )
        for part in parts
    ]
