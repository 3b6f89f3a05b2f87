"""Folders of files: what they contain, and their parts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ipse.data import decode, decode_audio
from ipse.data.pictures import SAMPLE, Pictures
from ipse.data.recordings import Recordings
from ipse.data.records import FolderRecords, Record
from ipse.data.splits import TESTS, choose
from ipse.data.store import Skipped
from ipse.data.tabular import ENDINGS
from ipse.errors import UserError


@dataclass(frozen=True)
class Listing:
    """What is below a folder, by kind, how many other files, and folders that cannot be entered.

    Kinds: image, audio, shards (.parquet, .tar: several samples each), table (.csv, .tsv) and series (.ts).
    """

    kinds: dict[str, list[str]]
    others: int
    skipped: list[Skipped]


def kind_of(name: str) -> str | None:
    """The kind of a file by its name; None when it is of none that is known."""
    ending = os.path.splitext(name)[1].lower()
    if ending in decode.extensions():
        return "image"
    if ending in decode_audio.extensions():
        return "audio"
    if ending in (".parquet", ".tar"):
        return "shards"
    if ending == ".ts":
        return "series"
    return "table" if name.lower().endswith(ENDINGS) else None


def listing(folder: Path) -> Listing:
    """Lists a folder and all below it, sorted, without hidden files; links are followed, each folder once."""
    kinds: dict[str, list[str]] = {}
    skipped: list[Skipped] = []
    others = 0
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
            if kind := kind_of(file):
                kinds.setdefault(kind, []).append(path)
            else:
                others += 1
    return Listing({kind: sorted(paths) for kind, paths in kinds.items()}, others, skipped)


class Folder(FolderRecords, Pictures):
    """The picture files of a folder."""

    def sample(self) -> Iterator[Record]:
        return map(self.record, self.files.names[:: -(-self.count // SAMPLE)])


def folder_splits(
    root: Path, name: str, names: Sequence[str], make: Callable[..., Folder | Recordings]
) -> tuple[Folder | Recordings, Folder | Recordings | None, list[Skipped]]:
    """The training and the test files of a folder, and what belongs to neither.

    `train/` next to `test/`, `val/`, `valid/` or `validation/` are its splits; without them all of it is for training.
    """

    def split(folder: str, paths: Sequence[str], part: str) -> Folder | Recordings:
        inside = [path[len(folder) + 1 :] for path in paths]
        return make(f"{name}/{folder}", root / folder, inside, part=part, prefix=f"{folder}/")

    top: dict[str, list[str]] = {}
    for path in names:
        first, inside, _ = path.partition("/")
        top.setdefault(first if inside else "", []).append(path)
    known = [first for first in top if first.lower() in ("train", *TESTS)]
    if not any(first.lower() == "train" for first in known) or (len(known) == 1 and len(top) > 1):
        return make(name, root, names), None, []
    train, test = choose(known)
    unused = [
        Skipped(
            f"{first}/" if first else f"{len(paths)} {make.kind}",  # type: ignore[attr-defined]
            f"beside {train}/{f' and {test}/' if test else ''}: not used",
        )
        for first, paths in top.items()
        if first not in (train, test)
    ]
    return split(train, top[train], "train"), split(test, top[test], "test") if test else None, unused
