"""Samples of numbers, kept in memory when they come from memory and in a store when they come from files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ipse.data.samples import Ints
from ipse.data.store import Kind, Opened, Skipped, Stored, Writer, stored
from ipse.data.strings import Strings

Columns = Mapping[str, tuple[str, tuple[int, ...]]]


class Appends(Protocol):
    """Something that takes samples piece by piece."""

    def append(self, names: Iterable[str], **rows: NDArray[Any]) -> None:
        """Adds n names, and rows to the columns."""


class Built(NamedTuple):
    """What is known when all samples are written: their labels (N,), the classes, the form, and what was left out: samples and columns."""

    y: Ints
    classes: tuple[str, ...]
    form: Mapping[str, Any]
    skipped: list[Skipped]
    left_out: list[str]


class Held:
    """A writer into memory."""

    def __init__(self, columns: Columns) -> None:
        self._rows: dict[str, list[NDArray[Any]]] = {name: [np.zeros((0, *row), kind)] for name, (kind, row) in columns.items()}
        self._names: list[str] = []

    def append(self, names: Iterable[str], **rows: NDArray[Any]) -> None:
        self._names += names
        for name, values in rows.items():
            self._rows[name].append(np.asarray(values, self._rows[name][0].dtype))

    def columns(self) -> dict[str, NDArray[Any]]:
        """What was written, which is forgotten here."""
        return {name: np.concatenate(self._rows.pop(name)) for name in list(self._rows)}

    def finish(self, built: Built) -> Stored:
        """What a store would hold."""
        return Stored(Path(), self.columns(), built.y, Strings.of(self._names), {"form": built.form})


def keep(
    folder: Path | None, key: str, columns: Callable[[], Columns], build: Callable[[Appends], Built], kind: Kind
) -> Opened:
    """Samples that `build` writes: in the store `folder`, which is used again where it is there; or in memory when None."""
    if folder is None:
        held = Held(columns())
        built = build(held)
        return Opened(kind(held.finish(built)), built.classes, key, built.skipped, left_out=tuple(built.left_out))

    def fill(temporary: Path) -> None:
        with Writer(temporary, columns()) as writer:
            built = build(writer)
            about = {"classes": built.classes, "form": built.form, "span": None, "left_out": built.left_out}
            writer.finish(built.y, about, built.skipped)

    return stored(folder, key, fill, kind)
