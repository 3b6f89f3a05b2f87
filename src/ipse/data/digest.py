"""What files contain, as short digests; a file that has not changed since the last time is not read again."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ipse.data.parallel import blocks, parallel

Progress = Callable[[str, int, int], None]

_RECENT = 2_000_000_000  # ns: a file this young may change again within one tick of its file system's clock


class _Entry(NamedTuple):
    name: str
    size: int
    modified: int
    digest: str


def digest(*parts: object) -> str:
    """Hashes values by what they print as: 32 hex digits."""
    return hashlib.blake2b("\0".join(map(str, parts)).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def file_digest(file: IO[bytes]) -> str:
    """Hashes the bytes of a file: 32 hex digits."""
    content = hashlib.blake2b(digest_size=16)
    while piece := file.read(1 << 20):
        content.update(piece)
    return content.hexdigest()


def open_file(path: Path) -> IO[bytes]:
    """Opens a file to read; OSError when it is something else, such as a pipe on which one would wait forever."""
    if not path.is_file():
        path.stat()
        raise OSError("not a regular file")
    return open(path, "rb")


def file_digests(root: Path, names: Sequence[str], part: str, cache: Path, progress: Progress) -> NDArray[np.bytes_]:
    """Digests (N,) of the files `names` (sorted, relative to `root`); empty where a file cannot be read.

    They are remembered in `cache` under (root, part), one line of JSON per file in the order of their names: old and new are
    merged as they stream by, and a folder of a million files needs no table in memory.
    """
    memory = cache / "digests" / f"{digest(root.resolve(), part)}.jsonl"
    found = np.zeros(len(names), "S32")
    size, modified = np.zeros(len(names), np.int64), np.zeros(len(names), np.int64)
    changed, done = False, 0

    def check(block: list[tuple[str, _Entry | None]]) -> list[tuple[_Entry, bool]]:
        return [_check(root, name, old) for name, old in block]

    for block in parallel(check, blocks(_paired(names, _remembered(memory)), 256)):
        for entry, new in block:
            found[done], size[done], modified[done] = entry.digest.encode(), entry.size, entry.modified
            changed |= new
            done += 1
        progress("reading", done, len(names))
    if changed:
        _remember(
            memory, (_Entry(n, int(s), int(m), d.decode()) for n, s, m, d in zip(names, size, modified, found, strict=True))
        )
    return found


def _check(root: Path, name: str, old: _Entry | None) -> tuple[_Entry, bool]:
    try:
        stat = (root / name).stat()
        if old is not None and (old.size, old.modified) == (stat.st_size, stat.st_mtime_ns):
            return old, False
        recent = time.time_ns() - stat.st_mtime_ns < _RECENT
        with open_file(root / name) as file:
            return _Entry(name, stat.st_size, -1 if recent else stat.st_mtime_ns, file_digest(file)), True
    except OSError:
        return _Entry(name, 0, -1, ""), True


def _paired(names: Iterable[str], entries: Iterator[_Entry]) -> Iterator[tuple[str, _Entry | None]]:
    """Joins two sorted streams: each name with what is remembered of it."""
    entry = next(entries, None)
    for name in names:
        while entry is not None and entry.name < name:
            entry = next(entries, None)
        yield name, entry if entry is not None and entry.name == name else None


def _remembered(memory: Path) -> Iterator[_Entry]:
    with suppress(OSError, ValueError, TypeError), open(memory, encoding="ascii") as lines:  # a damaged memory only costs time
        for line in lines:
            name, size, modified, content = json.loads(line)
            yield _Entry(str(name), int(size), int(modified), str(content))


def _remember(memory: Path, entries: Iterable[_Entry]) -> None:
    temporary = memory.with_name(f"{memory.name}.{uuid.uuid4().hex}")
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "w", encoding="ascii") as lines:
            lines.writelines(json.dumps(entry) + "\n" for entry in entries)
        temporary.replace(memory)
    except OSError:  # a full or read-only disk: the files are read again next time
        with suppress(OSError):
            temporary.unlink()
