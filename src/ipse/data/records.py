"""Streams of files that hold one sample or recording each, whatever is in them."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, ClassVar, TypeVar

import numpy as np

from ipse.data.decode import UnreadableError
from ipse.data.digest import file_digest, file_digests, open_file
from ipse.data.labels import in_order
from ipse.data.parallel import blocks, parallel
from ipse.data.samples import Ints
from ipse.data.store import Skipped
from ipse.data.wanted import Files, NothingLeftError, Wanted

T = TypeVar("T")

_BLOCK = 32


@dataclass(frozen=True)
class Record:
    """A file: its name, its label, how to open it, and how many of its bytes are in memory already."""

    name: str
    label: str | None
    open: Callable[[], IO[bytes]]
    held: int = 0


class Records(ABC):
    """A source of files of one kind.

    kind: what they are, in the plural.  name: what the user calls the source.  files: where its content is on disk; None when
    only reading every record tells it.  classes: in their own order; None when they are the labels that are met, sorted.
    """

    kind: ClassVar[str]
    name: str
    files: Files | None = None
    classes: tuple[str, ...] | None = None
    prefix = ""

    @abstractmethod
    def records(self, skipped: list[Skipped]) -> Iterator[Record]:
        """All records, always in the same order; what cannot be read at all is added to `skipped`."""

    @property
    def count(self) -> int:
        """How many records there are; 0 when that is not known before they are read."""
        return 0

    def content(self, wanted: Wanted) -> str:
        """A digest of everything in them, and of how they are called."""
        content = hashlib.blake2b(repr((self.prefix, self.classes)).encode("utf-8", "surrogateescape"), digest_size=16)
        if self.files is None:
            for done, part in enumerate(parallel(_fingerprints, in_blocks(self.records([]))), 1):
                content.update(part)
                wanted.progress("reading", min(done * _BLOCK, self.count), self.count)
        else:
            found = file_digests(*self.files, wanted.cache, wanted.progress)
            for name, one in zip(self.files.names, found, strict=True):
                content.update(name.encode("utf-8", "surrogateescape") + b"\0" + one + b"\n")
        return content.hexdigest()

    def nothing(self, skipped: list[Skipped]) -> NothingLeftError:
        """The error when not one of them could be used."""
        if not skipped:
            return NothingLeftError(f"no {self.kind} in {self.name}", skipped)
        first, many = skipped[0], len(skipped)
        return NothingLeftError(
            f"none of the {many} {self.kind} in {self.name} can be read; the first, {first.name}: {first.reason}", skipped
        )


class FolderRecords(Records):
    """The files `names` (sorted) below `root`; where most are inside of two folders or more, those are their classes."""

    files: Files

    def __init__(self, name: str, root: Path, names: Sequence[str], *, part: str = "train", prefix: str = "") -> None:
        self.name, self.prefix = name, prefix
        self.files = Files(root, names, part)
        inside = sum("/" in name for name in names)
        first = {name.partition("/")[0] for name in names if "/" in name}
        self._labelled = len(first) >= 2 and 2 * inside > len(names)

    @property
    def count(self) -> int:
        return len(self.files.names)

    def records(self, skipped: list[Skipped]) -> Iterator[Record]:
        return map(self.record, self.files.names)

    def record(self, name: str) -> Record:
        """The record of one file."""
        shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")  # file names may be any bytes
        folder, inside, _ = shown.partition("/")
        label = folder if inside and self._labelled else None
        return Record(self.prefix + shown, label, partial(open_file, self.files.root / name))


class Labels:
    """The labels of samples in the order in which they come, from which class numbers are made at the end."""

    def __init__(self) -> None:
        self._numbers: dict[str | None, int] = {None: -1}
        self._parts = [np.zeros(0, np.int64)]

    def add(self, labels: Iterable[str | None]) -> None:
        """Adds the labels of the next samples; None where there is none."""
        self._parts.append(np.array([self._numbers.setdefault(label, len(self._numbers) - 1) for label in labels], np.int64))

    def encoded(self, classes: tuple[str, ...] | None) -> tuple[Ints, tuple[str, ...]]:
        """Class numbers (N,) among `classes`, or among all labels that were met, sorted; and those classes."""
        met = [label for label in self._numbers if label is not None]
        classes = classes or in_order(met)
        table = np.array([*(classes.index(label) for label in met), -1], np.int64)
        return table[np.concatenate(self._parts)], classes


def in_blocks(records: Iterator[Record]) -> Iterator[list[Record]]:
    """Records in lists that are worth a thread's while."""
    return blocks(records, _BLOCK, lambda record: record.held)


def decoded(record: Record, decode: Callable[[IO[bytes]], T]) -> T | Skipped:
    """What `decode` makes of a file, or why it cannot."""
    try:
        file = record.open()
    except OSError as error:
        return Skipped(record.name, (error.strerror or str(error)).lower())
    try:
        with file:
            return decode(file)
    except UnreadableError as error:
        return Skipped(record.name, str(error))


def with_file(record: Record, use: Callable[[IO[bytes]], T]) -> T | None:
    """What `use` makes of a file; None when it cannot be read."""
    try:
        with record.open() as file:
            return use(file)
    except OSError:
        return None


def _fingerprints(block: list[Record]) -> bytes:
    lines = (f"{record.name}\0{record.label}\0{with_file(record, file_digest)}\n" for record in block)
    return hashlib.blake2b("".join(lines).encode("utf-8", "surrogateescape"), digest_size=16).digest()
