"""Streams of picture files, decoded once into a store."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO, TypeVar

import numpy as np

from ipse.data.decode import Decoded, UnreadableError, decode, probe, quiet
from ipse.data.digest import file_digest, file_digests
from ipse.data.images import Bytes, Floats, Ints
from ipse.data.labels import in_order
from ipse.data.parallel import blocks, parallel
from ipse.data.store import Opened, Skipped, Writer, stored, usual_size
from ipse.data.wanted import Files, NothingLeftError, Wanted, store_side, view_size

T = TypeVar("T")

_BLOCK, SAMPLE = 32, 1000


@dataclass(frozen=True)
class Record:
    """A picture file: its name, its label, how to open it, and how many of its bytes are in memory already."""

    name: str
    label: str | None
    open: Callable[[], IO[bytes]]
    held: int = 0


class Pictures(ABC):
    """A source of picture files.

    name: what the user calls it.  files: where its content is on disk; None when only reading every record tells it.
    classes: in their own order; None when they are the labels that are met, sorted.
    """

    name: str
    files: Files | None = None
    classes: tuple[str, ...] | None = None
    prefix = ""

    @abstractmethod
    def records(self, skipped: list[Skipped]) -> Iterator[Record]:
        """All pictures, always in the same order; what cannot be read at all is added to `skipped`."""

    @property
    def count(self) -> int:
        """How many pictures there are; 0 when that is not known before they are read."""
        return 0

    def sample(self) -> Iterator[Record]:
        """Some of the pictures, from everywhere if that does not take reading everything."""
        return islice(self.records([]), SAMPLE)

    def open(self, wanted: Wanted) -> Opened:
        """Maps the store of these pictures, which is built first where there is none.

        Raises NothingLeftError when no picture can be decoded.
        """
        stores, content = wanted.cache / "stores", self._content(wanted)
        if wanted.like is not None:
            _, channels, side, _ = wanted.like.images.x.shape
            same = _Plan(wanted.like.size, side, channels, usual=wanted.like.size, fixed=True)
            return stored(stores / f"{content}-{channels}x{side}", content, lambda folder: self._build(folder, same, wanted))
        size = wanted.size or usual_size(stores, content)
        plan = None if size else self._plan(None)
        folder = stores / f"{content}-{plan.size if plan else size}"
        return stored(folder, content, lambda folder: self._build(folder, plan or self._plan(size), wanted))

    def _content(self, wanted: Wanted) -> str:
        content = hashlib.blake2b(repr((self.prefix, self.classes)).encode("utf-8", "surrogateescape"), digest_size=16)
        if self.files is None:
            for done, part in enumerate(parallel(_fingerprints, self._blocks(self.records([]))), 1):
                content.update(part)
                wanted.progress("reading", min(done * _BLOCK, self.count), self.count)
        else:
            found = file_digests(*self.files, wanted.cache, wanted.progress)
            for name, one in zip(self.files.names, found, strict=True):
                content.update(name.encode("utf-8", "surrogateescape") + b"\0" + one + b"\n")
        return content.hexdigest()

    def _blocks(self, records: Iterator[Record]) -> Iterator[list[Record]]:
        return blocks(records, _BLOCK, lambda record: record.held)

    def _plan(self, size: int | None) -> _Plan:
        """How pictures are stored, by the headers of some: as large as views need, but not larger than half of them are."""
        with quiet():
            heads = [head for block in parallel(_probe, self._blocks(self.sample())) for head in block if head]
        short = sorted(side for side, _ in heads)[len(heads) // 2] if heads else 64
        usual = view_size(short)
        side = min(short, store_side(size or usual))
        return _Plan(size or usual, side, 1 if all(grey for _, grey in heads) else 3, usual, fixed=False)

    def _build(self, folder: Path, plan: _Plan, wanted: Wanted) -> None:
        with quiet():
            if not self._decode(folder, plan, wanted):  # a colour picture among what looked grey
                self._decode(folder, replace(plan, channels=3), wanted)

    def _decode(self, folder: Path, plan: _Plan, wanted: Wanted) -> bool:
        """Writes the store; False when the plan is for grey pictures and one is not."""
        skipped: list[Skipped] = []
        numbers: dict[str | None, int] = {None: -1}
        labels: list[Ints] = []
        done = 0

        def work(block: list[Record]) -> _Block:
            return _decode_block(block, plan)

        with Writer(folder, (plan.channels, plan.side, plan.side)) as writer:
            for block in parallel(work, self._blocks(self.records(skipped))):
                if block.colour and plan.channels == 1 and not plan.fixed:
                    return False
                skipped += block.skipped
                writer.append(block.x, block.aspect, [record.name for record in block.records])
                labels.append(np.array([numbers.setdefault(r.label, len(numbers) - 1) for r in block.records], np.int64))
                done += len(block.records) + len(block.skipped)
                wanted.progress("decoding", done, self.count)
            y = np.concatenate([np.zeros(0, np.int64), *labels])
            if not len(y):
                raise self._nothing(skipped)
            met = [label for label in numbers if label is not None]
            classes = self.classes or in_order(met)
            table = np.array([*(classes.index(label) for label in met), -1], np.int64)
            writer.finish(table[y], {"classes": classes, "size": plan.size, "usual": plan.usual, "span": None}, skipped)
        return True

    def _nothing(self, skipped: list[Skipped]) -> NothingLeftError:
        if not skipped:
            return NothingLeftError(f"no pictures in {self.name}", skipped)
        first = skipped[0]
        return NothingLeftError(
            f"none of the {len(skipped)} pictures in {self.name} can be read; the first, {first.name}: {first.reason}", skipped
        )


@dataclass(frozen=True)
class _Plan:
    size: int
    side: int
    channels: int
    usual: int
    fixed: bool


@dataclass(frozen=True)
class _Block:
    x: Bytes
    aspect: Floats
    records: list[Record]
    skipped: list[Skipped]
    colour: bool


def _decode_block(block: list[Record], plan: _Plan) -> _Block:
    decoded = [_decoded(record, plan) for record in block]
    done = [one for one in decoded if not isinstance(one, Skipped)]
    return _Block(
        x=np.stack([one.x for one in done]) if done else np.zeros((0, plan.channels, plan.side, plan.side), np.uint8),
        aspect=np.array([one.aspect for one in done], np.float32),
        records=[record for record, one in zip(block, decoded, strict=True) if not isinstance(one, Skipped)],
        skipped=[one for one in decoded if isinstance(one, Skipped)],
        colour=not all(one.grey for one in done),
    )


def _decoded(record: Record, plan: _Plan) -> Decoded | Skipped:
    try:
        with record.open() as file:
            return decode(file, plan.side, plan.channels)
    except UnreadableError as error:
        return Skipped(record.name, str(error))
    except OSError as error:
        return Skipped(record.name, (error.strerror or str(error)).lower())


def _probe(block: list[Record]) -> list[tuple[int, bool] | None]:
    return [_with_file(record, probe) for record in block]


def _fingerprints(block: list[Record]) -> bytes:
    lines = (f"{record.name}\0{record.label}\0{_with_file(record, file_digest)}\n" for record in block)
    return hashlib.blake2b("".join(lines).encode("utf-8", "surrogateescape"), digest_size=16).digest()


def _with_file(record: Record, use: Callable[[IO[bytes]], T]) -> T | None:
    """What `use` makes of a file; None when it cannot be read."""
    try:
        with record.open() as file:
            return use(file)
    except OSError:
        return None
