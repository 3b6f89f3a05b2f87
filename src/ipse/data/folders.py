"""Folders of picture files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ipse.data.decode import extensions
from ipse.data.digest import open_file
from ipse.data.pictures import SAMPLE, Pictures, Record
from ipse.data.splits import TESTS, choose
from ipse.data.store import Skipped
from ipse.data.wanted import Files
from ipse.errors import UserError


@dataclass(frozen=True)
class Listing:
    """What is below a folder: pictures, shards (.parquet, .tar), how many other files, and folders that cannot be entered."""

    pictures: list[str]
    shards: list[str]
    others: int
    skipped: list[Skipped]


def listing(folder: Path) -> Listing:
    """Lists a folder and all below it, sorted, without hidden files; links are followed, each folder once."""
    pictures, shards, skipped, others = [], [], [], 0
    entered: set[tuple[int, int]] = set()

    def closed(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise UserError(f"cannot read the folder {folder}: {(error.strerror or str(error)).lower()}") from error
        skipped.append(Skipped(Path(error.filename).relative_to(folder).as_posix(), (error.strerror or str(error)).lower()))

    for place, folders, files in os.walk(folder, onerror=closed, followlinks=True):
        stat = os.stat(place)
        if (stat.st_dev, stat.st_ino) in entered:
            folders.clear()
            continue
        entered.add((stat.st_dev, stat.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in files:
            if file.startswith("."):
                continue
            path = os.path.relpath(os.path.join(place, file), folder).replace(os.sep, "/")
            ending = os.path.splitext(file)[1].lower()
            if ending in extensions():
                pictures.append(path)
            elif ending in (".parquet", ".tar"):
                shards.append(path)
            else:
                others += 1
    return Listing(sorted(pictures), sorted(shards), others, skipped)


class Folder(Pictures):
    """The pictures `names` (sorted) below `root`; where most are inside of two folders or more, those are their classes."""

    def __init__(self, name: str, root: Path, names: Sequence[str], *, part: str = "train", prefix: str = "") -> None:
        self.name, self.prefix = name, prefix
        self.files: Files = Files(root, names, part)
        inside = sum("/" in name for name in names)
        first = {name.partition("/")[0] for name in names if "/" in name}
        self._labelled = len(first) >= 2 and 2 * inside > len(names)

    @property
    def count(self) -> int:
        return len(self.files.names)

    def records(self, skipped: list[Skipped]) -> Iterator[Record]:
        return map(self._record, self.files.names)

    def sample(self) -> Iterator[Record]:
        return map(self._record, self.files.names[:: -(-self.count // SAMPLE)])

    def _record(self, name: str) -> Record:
        shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")  # file names may be any bytes
        folder, inside, _ = shown.partition("/")
        label = folder if inside and self._labelled else None
        return Record(self.prefix + shown, label, partial(open_file, self.files.root / name))


def folder_splits(root: Path, name: str, names: Sequence[str]) -> tuple[Folder, Folder | None, list[Skipped]]:
    """The training and the test pictures of a folder, and what belongs to neither.

    `train/` next to `test/`, `val/`, `valid/` or `validation/` are its splits; without them all of it is for training.
    """
    top: dict[str, list[str]] = {}
    for path in names:
        first, inside, _ = path.partition("/")
        top.setdefault(first if inside else "", []).append(path)
    known = [first for first in top if first.lower() in ("train", *TESTS)]
    if not any(first.lower() == "train" for first in known) or (len(known) == 1 and len(top) > 1):
        return Folder(name, root, names), None, []
    train, test = choose(known)
    unused = [
        Skipped(
            f"{first}/" if first else f"{len(paths)} pictures", f"beside {train}/{f' and {test}/' if test else ''}: not used"
        )
        for first, paths in top.items()
        if first not in (train, test)
    ]
    tests = _split(root, name, test, top[test], "test") if test else None
    return _split(root, name, train, top[train], "train"), tests, unused


def _split(root: Path, name: str, folder: str, paths: Sequence[str], part: str) -> Folder:
    inside = [path[len(folder) + 1 :] for path in paths]
    return Folder(f"{name}/{folder}", root / folder, inside, part=part, prefix=f"{folder}/")
