"""Many short strings without an object for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray


class Strings(Sequence[str]):
    """N strings as one utf-8 text and the places where they begin, so that a million names are two (mapped) arrays.

    text: (bytes,) uint8.  starts: (N + 1,) int64.  rows: which of them, and in which order; all when None.
    """

    def __init__(self, text: NDArray[np.uint8], starts: NDArray[np.int64], rows: NDArray[np.int64] | None = None) -> None:
        self._text, self._starts, self._rows = np.asarray(text), np.asarray(starts), rows

    @classmethod
    def of(cls, strings: Iterable[str]) -> Strings:
        """Packs strings."""
        text, lengths = pack(strings)
        return cls(text, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))

    @classmethod
    def open(cls, folder: Path) -> Strings:
        """Maps the strings that are kept in `folder` as names.npy and starts.npy."""
        text, starts = (np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ("names", "starts"))
        return cls(text, starts)

    def take(self, rows: NDArray[np.int64]) -> Strings:
        """The strings at `rows`, without copying them."""
        return Strings(self._text, self._starts, rows if self._rows is None else self._rows[rows])

    def __len__(self) -> int:
        return len(self._starts) - 1 if self._rows is None else len(self._rows)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Strings: ...
    def __getitem__(self, index: int | slice) -> str | Strings:
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        row = index % len(self) if self._rows is None else int(self._rows[index])
        return self._text[self._starts[row] : self._starts[row + 1]].tobytes().decode("utf-8", "replace")


def pack(strings: Iterable[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The bytes of strings one after the other, and the length of each."""
    encoded = [string.encode("utf-8", "surrogateescape") for string in strings]
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    return np.frombuffer(b"".join(encoded), np.uint8), lengths
