"""The door to all data."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from ipse.data import labels as label_files
from ipse.data.cache import cache_folder
from ipse.data.digest import digest
from ipse.data.images import Images
from ipse.data.labels import merged, renumbered
from ipse.data.sources import find
from ipse.data.store import Opened, Skipped
from ipse.data.wanted import NothingLeftError, Wanted
from ipse.errors import UserError


@dataclass(frozen=True)
class Data:
    """Pictures to learn from and, where DATA has them, pictures to test on.

    classes: what the labels mean; () without labels.  skipped: what was left out, and why.  key: the same for the same content.
    size: the side of the square views a model should see.  ignored: how many files are no pictures.
    """

    name: str
    train: Images
    test: Images | None
    classes: tuple[str, ...]
    skipped: list[Skipped] = field(repr=False)
    key: str
    size: int
    ignored: int = 0


def open_data(
    data: Any,
    *,
    labels: str | Path | None = None,
    size: int | None = None,
    cache: Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Data:
    """Opens DATA: a folder, a file, arrays, a `datasets` object, or a name.

    labels: a CSV of sample and label, which takes the place of the data's own labels in the parts that it names samples of.
    size: the side of the views the model will see; None decides by the pictures.
    cache: where decoded pictures are kept; None is $IPSE_CACHE or ~/.cache/ipse.
    progress: called with (what, done, total); total is 0 where it is unknown.
    Raises UserError when there is nothing to learn from.
    """
    if size is not None and size < 1:
        raise UserError(f"the size of the views must be at least 1, got {size}")
    table = {} if labels is None else label_files.read_labels(Path(labels))  # before the pictures, which may take long
    wanted = Wanted(size, cache_folder(cache), progress or (lambda what, done, total: None))
    with ExitStack() as stack:
        found = find(data, wanted, stack)
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
    if labels is not None:
        classes, opened = _labelled(Path(labels), table, classes, opened, skipped)
        key = digest(key, sorted(table.items()))
    return Data(found.name, opened[0], opened[1] if test else None, classes, skipped, key, train.size, found.ignored)


def _relabelled(part: Opened, classes: tuple[str, ...]) -> Images:
    return part.images if part.classes == classes else part.images.relabelled(renumbered(part.images.y, part.classes, classes))


def _labelled(
    path: Path, table: dict[str, str | None], classes: tuple[str, ...], parts: list[Images], skipped: list[Skipped]
) -> tuple[tuple[str, ...], list[Images]]:
    """The classes and parts with the labels of a CSV; a part none of whose samples it names keeps its own."""
    label_files.check_names(path, table, chain(*(part.names for part in parts), (item.name for item in skipped)))
    given = label_files.in_order(label for label in table.values() if label is not None)
    named = classes if set(given) <= set(classes) else given
    return named, [
        part.relabelled(
            label_files.look_up(table, part.names, len(part), named)
            if any(name in table for name in part.names)
            else renumbered(part.y, classes, named)
        )
        for part in parts
    ]
