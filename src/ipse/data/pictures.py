"""Streams of picture files, decoded once into a store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from ipse.data.decode import decode, probe, quiet
from ipse.data.images import Bytes, Floats, store_side, view_size
from ipse.data.parallel import parallel
from ipse.data.records import Labels, Records, decoded, in_blocks, with_file
from ipse.data.records import Record as Record
from ipse.data.store import Opened, Skipped, picture_writer, stored, usual_size
from ipse.data.wanted import Wanted, pictures_of

SAMPLE = 1000


class Pictures(Records):
    """A source of picture files."""

    kind = "pictures"

    def sample(self) -> Iterator[Record]:
        """Some of the pictures, from everywhere if that does not take reading everything."""
        return islice(self.records([]), SAMPLE)

    def open(self, wanted: Wanted) -> Opened:
        """Maps the store of these pictures, which is built first where there is none.

        Raises NothingLeftError when no picture can be decoded.
        """
        stores, content = wanted.cache / "stores", self.content(wanted)
        if wanted.like is not None:
            like = pictures_of(wanted.like)
            side, channels = like.height, like.channels
            same = _Plan(like.size, side, channels, usual=like.size, fixed=True)
            return stored(stores / f"{content}-{channels}x{side}", content, lambda folder: self._build(folder, same, wanted))
        size = wanted.side or usual_size(stores, content)
        plan = None if size else self._plan(None)
        folder = stores / f"{content}-{plan.size if plan else size}"
        return stored(folder, content, lambda folder: self._build(folder, plan or self._plan(size), wanted))

    def _plan(self, size: int | None) -> _Plan:
        """How pictures are stored, by the headers of some: as large as views need, but not larger than half of them are."""
        with quiet():
            heads = [head for block in parallel(_probe, in_blocks(self.sample())) for head in block if head]
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
        labels, done = Labels(), 0

        def work(block: list[Record]) -> _Block:
            return _decode_block(block, plan)

        with picture_writer(folder, (plan.channels, plan.side, plan.side)) as writer:
            for block in parallel(work, in_blocks(self.records(skipped))):
                if block.colour and plan.channels == 1 and not plan.fixed:
                    return False
                skipped += block.skipped
                writer.append([record.name for record in block.records], x=block.x, aspect=block.aspect)
                labels.add(record.label for record in block.records)
                done += len(block.records) + len(block.skipped)
                wanted.progress("decoding", done, self.count)
            y, classes = labels.encoded(self.classes)
            if not len(y):
                raise self.nothing(skipped)
            writer.finish(y, {"classes": classes, "size": plan.size, "usual": plan.usual, "span": None}, skipped)
        return True


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
    found = [decoded(record, lambda file: decode(file, plan.side, plan.channels)) for record in block]
    done = [one for one in found if not isinstance(one, Skipped)]
    return _Block(
        x=np.stack([one.x for one in done]) if done else np.zeros((0, plan.channels, plan.side, plan.side), np.uint8),
        aspect=np.array([one.aspect for one in done], np.float32),
        records=[record for record, one in zip(block, found, strict=True) if not isinstance(one, Skipped)],
        skipped=[one for one in found if isinstance(one, Skipped)],
        colour=not all(one.grey for one in done),
    )


def _probe(block: list[Record]) -> list[tuple[int, bool] | None]:
    return [with_file(record, probe) for record in block]
