"""Which samples are to be forgotten."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipse.errors import UserError, unknown
from ipse.jobs.run import Run, say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ipse.data import Data, Samples

_COLUMNS = ("path", "file", "name", "filename", "file_name", "image", "index")


def chosen(word: Any, data: Data, learned: Samples, classes: Sequence[str], run: Run) -> NDArray[np.int64]:
    """The places, among what the run learned from, of the samples that a user's word names.

    word: a CSV or a list of names, class:NAME, range:LOW..HIGH, or from Python names, places or a mask. Raises UserError when
    that names nothing, something that nobody knows or that the run never learned from, or everything.
    """
    import numpy as np

    if isinstance(word, str) and word.startswith("class:"):
        places = _of_class(word[6:], learned, classes)
    elif isinstance(word, str) and word.startswith("range:"):
        places = _of_range(word[6:], learned, classes)
    elif isinstance(word, (str, os.PathLike)):
        places = _of_names(str(word), _read(Path(word)), data, learned, run)
    else:
        entries = np.asarray(word)
        if entries.dtype == bool or entries.dtype.kind in "iu":
            places = _of_places(entries, learned)
        else:
            places = _of_names("the list", [str(name) for name in entries.ravel()], data, learned, run)
    if not len(places):
        raise UserError("there is nothing to forget: the list is empty")
    if len(places) == len(learned):
        raise UserError(f"that is everything {run} learned from: nothing would be left to keep; delete the folder instead")
    return places


def mask(places: NDArray[np.int64], n: int) -> NDArray[np.bool_]:
    """The same places as a mask (n,)."""
    import numpy as np

    result = np.zeros(n, bool)
    result[places] = True
    return result


def forgotten(run: Run) -> set[str]:
    """The names of what a run has forgotten already."""
    return {name for name, _ in forgotten_rows(run)}


def forgotten_rows(run: Run) -> list[tuple[str, str]]:
    """Name and label of what a run has forgotten already."""
    path = run.path / "forgotten.csv"
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [(row["path"], row["label"]) for row in csv.DictReader(file)]


def write_rows(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """Writes name and label of samples as a CSV."""
    with path.open("w", newline="", encoding="utf-8", errors="replace") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label"))
        writer.writerows(rows)


def _of_class(name: str, learned: Samples, classes: Sequence[str]) -> NDArray[np.int64]:
    import numpy as np

    if name not in classes:
        raise unknown("class", name, classes)
    places = np.flatnonzero(learned.y == list(classes).index(name))
    if not len(places):
        raise UserError(f"none of the samples that the run learned from and still knows is of class {name!r}")
    return places


def _of_range(text: str, learned: Samples, classes: Sequence[str]) -> NDArray[np.int64]:
    import numpy as np

    from ipse.models.regressor import as_numbers

    low, _, high = text.partition("..")
    try:
        ends = float(low), float(high)
    except ValueError:
        raise UserError(f"--forget range:{text}: expected range:LOW..HIGH, for example range:0..30") from None
    values = np.array([*as_numbers(classes), np.nan])
    places = np.flatnonzero((values[learned.y] >= ends[0]) & (values[learned.y] <= ends[1]))
    if not len(places):
        raise UserError(
            f"--forget range:{text}: no label lies there; they go from {np.nanmin(values):g} to {np.nanmax(values):g}"
        )
    return places


def _of_places(entries: NDArray[Any], learned: Samples) -> NDArray[np.int64]:
    import numpy as np

    if entries.dtype == bool:
        if entries.shape != (len(learned),):
            raise UserError(
                f"expected a mask of the {len(learned)} samples that the run learned from, got the shape {entries.shape}"
            )
        return np.flatnonzero(entries)
    places = np.unique(entries)
    if len(places) and (places[0] < 0 or places[-1] >= len(learned)):
        raise UserError(f"the run learned from {len(learned)} samples, so there is no sample {places[-1]}")
    return places.astype(np.int64)


def _of_names(source: str, wanted: list[str], data: Data, learned: Samples, run: Run) -> NDArray[np.int64]:
    import numpy as np

    from ipse.data.labels import called

    asked = {name.strip().replace("\\", "/").removeprefix("./") for name in wanted if name.strip()}
    if not asked:
        raise UserError(f"there is nothing to forget: {source} is empty")
    found = [(place, called(asked, name)) for place, name in enumerate(learned.names)]
    places = [place for place, name in found if name in asked]
    missing = asked - {name for _, name in found}
    gone = missing & forgotten(run)
    if gone and not places and gone == missing:
        raise UserError(f"{run} has forgotten all {len(gone)} of them already: there is nothing to do")
    if gone:
        say(f"ipse: note: {len(gone)} of them are forgotten already, such as {min(gone)!r}")
    missing -= gone
    unread = missing & {skipped.name for skipped in data.skipped}
    missing -= unread
    if unread:
        say(
            f"ipse: note: {len(unread)} of them could not be read, so that nothing was learned from them, such as {min(unread)!r}"
        )
    apart = missing & {called(asked, name) for part in (data.train, data.test) if part is not None for name in part.names}
    if apart:
        raise UserError(
            f"{source} names {len(apart)} samples that {run} did not learn from, such as {min(apart)!r}, which only judged it"
        )
    if missing:
        example = next(iter(learned.names), "")
        raise UserError(
            f"{source} names {len(missing)} unknown samples, such as {min(missing)!r} (the data's names look like {example!r})"
        )
    return np.array(places, np.int64)


def _read(path: Path) -> list[str]:
    """The names in a CSV with a column for them, or in a file with a name a line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as e:
        reason = e.strerror if isinstance(e, OSError) else "it is no text"
        raise UserError(f"cannot read the list {path}: {reason}; or give class:NAME") from e
    lines = text.splitlines()
    if not lines:
        return []
    rows = list(csv.reader(lines, delimiter=max(",;\t", key=lines[0].count)))
    head = [cell.strip().lower() for cell in rows[0]]
    column = next((head.index(name) for name in _COLUMNS if name in head), None)
    if column is None and len(head) > 1:
        raise UserError(f"{path} has no column of samples: expected one of {', '.join(_COLUMNS)}, got {', '.join(head)}")
    body = rows if column is None else rows[1:]
    return [row[column or 0] for row in body if len(row) > (column or 0)]
