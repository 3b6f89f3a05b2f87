"""Series in the .ts files of the UCR and UEA archives, and aeon's sets by name."""

from __future__ import annotations

import codecs
import importlib.util
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ipse.data.cache import cache_folder, data_folder, whole
from ipse.data.cutting import Many, One, open_series
from ipse.data.digest import digest, file_digests
from ipse.data.labels import as_label
from ipse.data.store import Opened, Skipped
from ipse.data.wanted import Files, Wanted
from ipse.errors import UserError, first_line

_STAMPED = re.compile(r"\(([^()]*),([^(),]*)\)")


@dataclass
class _Header:
    """What a .ts file says of itself: whether a label or another target ends each line, and whether numbers have times."""

    labelled: bool = False
    target: bool = False
    stamped: bool = False
    classes: list[str] = field(default_factory=list)

    def read(self, line: str) -> None:
        """Takes in a line that begins with @."""
        word, _, rest = line[1:].partition(" ")
        yes, *values = rest.split() or ["false"]
        if word.lower() == "classlabel":
            self.labelled, self.classes = yes.lower() == "true", [as_label(value) or value for value in values]
        elif word.lower() == "targetlabel":
            self.target = yes.lower() == "true"
        elif word.lower() == "timestamps":
            self.stamped = yes.lower() == "true"


@dataclass(frozen=True)
class TsFile:
    """The series of a .ts file: a line each, channels separated by colons, a label at the end."""

    name: str
    path: Path
    part: str = "train"
    prefix: str = ""

    def open(self, wanted: Wanted) -> Opened:
        """Cuts the series into windows, kept in a store; lines that are broken are skipped.

        Raises UserError when this is no .ts file, NothingLeftError when no series is left.
        """
        width, labels, target = self._first()
        files = Files(self.path.parent, [self.path.name], f"{self.path.name}-{self.part}")
        key = digest(*file_digests(*files, wanted.cache, wanted.progress), self.prefix, "ts")
        notes = [Skipped(self.path.name, "its targets are numbers, not classes: left out")] if target else []
        many = Many(
            self.name,
            lambda: tuple(map(str, range(width))),
            lambda skipped: (one for _, one in self._series(skipped, width, labels)),
            lambda: tuple(labels),
        )
        return open_series(many, wanted, wanted.cache / "stores", key, notes)

    def _first(self) -> tuple[int, dict[str, int], bool]:
        """How many channels the first series has, the classes with their numbers, and whether there are targets instead."""
        labels: dict[str, int] = {}
        try:
            header, one = next(self._series([], None, labels), (None, None))
        except OSError as error:
            raise UserError(f"cannot read {self.path}: {(error.strerror or str(error)).lower()}") from error
        if header is None or one is None:
            raise UserError(f"cannot read {self.path}: it has no series after a line @data")
        return np.asarray(one.x[0:1]).shape[1], labels, header.target

    def _series(self, skipped: list[Skipped], width: int | None, labels: dict[str, int]) -> Iterator[tuple[_Header, One]]:
        header, began, number = _Header(), False, -1
        with open(self.path, "rb") as lines:
            for place, raw in enumerate(lines, 1):
                line = raw.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace").strip()
                if not line or line[0] in "#%":
                    continue
                if not began:
                    began = line.lower() == "@data"
                    if line.startswith("@") and not began:
                        header.read(line)
                        if header.labelled and not labels:
                            labels.update({name: n for n, name in enumerate(dict.fromkeys(header.classes))})
                    continue
                number += 1
                try:
                    x, label = _parsed(line, header)
                    if width is not None and x.shape[1] != width:
                        raise ValueError(f"{x.shape[1]} channels, expected {width}")
                    if label is not None and label not in labels:
                        raise ValueError(f"the label {label!r} is none of the classes {', '.join(list(labels)[:10])}")
                except ValueError as error:
                    skipped.append(Skipped(f"{self.path.name}, line {place}", first_line(error)))
                    continue
                yield header, One(f"{self.prefix}{number}", x, -1 if label is None else labels[label])


def _parsed(line: str, header: _Header) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.float64]], str | None]:
    """The numbers (T, C) and the label of a line; channels that are shorter than others end with NaN."""
    if header.stamped:
        body, _, last = line.rpartition(":") if header.labelled or header.target else (line, "", "")
        fields = [",".join(value for _, value in _STAMPED.findall(part)) for part in re.split(r":(?=\()", body)]
    else:
        fields = line.split(":")
        last = fields.pop() if header.labelled or header.target else ""
    if not fields:
        raise ValueError("no channels before the label")
    channels = [_numbers(one) for one in fields]
    x = np.full((max(map(len, channels)), len(channels)), np.nan)
    for place, channel in enumerate(channels):
        x[: len(channel), place] = channel
    return x, as_label(last) if header.labelled else None


def _numbers(text: str) -> Sequence[float]:
    try:
        return [float("nan") if value.strip() in ("?", "") else float(value) for value in text.split(",")]
    except ValueError as error:
        raise ValueError(first_line(error).replace("could not convert string to float:", "no number:")) from error


def ts_folder(name: str, folder: Path) -> tuple[TsFile, TsFile | None] | None:
    """The parts NAME_TRAIN.ts and NAME_TEST.ts of a folder; None when there are none.

    NAME is the folder's, or else that of the only NAME_TRAIN.ts.
    """
    found = sorted(path for path in folder.glob("*.ts") if path.stem.upper().endswith("_TRAIN"))
    same = [path for path in found if path.stem[:-6].lower() == folder.name.lower()]
    if not same and len(found) != 1:
        return None
    train = (same or found)[0]
    test = next((p for p in folder.glob("*.ts") if p.stem.upper() == f"{train.stem[:-6]}_TEST".upper()), None)
    return TsFile(name, train), None if test is None else TsFile(f"{name}/test", test, "test", "test/")


def aeon_set(name: str, cache: Path | None = None) -> tuple[TsFile, TsFile | None] | None:
    """The training and the test part of one of aeon's sets; None when there is none of this name.

    Looked for in aeon-sets/NAME and NAME under $IPSE_DATA, then in the cache; then, if the package `aeon` is installed, among the sets
    that come with it and those that it downloads.
    """
    if not re.fullmatch(r"[\w-]+", name):
        return None
    home = cache_folder(cache) / "data" / "aeon-sets"
    for place in _places(home):
        for folder in sorted(place.iterdir()) if place.is_dir() else ():
            if folder.is_dir() and folder.name.lower() == name.lower() and (parts := ts_folder(folder.name, folder)):
                return parts
    return _downloaded(name, home)


def aeon_names(cache: Path | None = None) -> list[str]:
    """The sets that are on this machine."""
    places = (place for place in _places(cache_folder(cache) / "data" / "aeon-sets") if place.is_dir())
    return sorted({folder.name for place in places for folder in place.iterdir() if any(folder.glob("*_TRAIN.ts"))})


def _places(home: Path) -> list[Path]:
    package = importlib.util.find_spec("aeon")
    origins = [] if package is None or package.origin is None else [Path(package.origin).parent / "datasets" / "data"]
    return [data_folder() / "aeon-sets", data_folder(), home, *origins]


def _downloaded(name: str, home: Path) -> tuple[TsFile, TsFile | None] | None:
    """A set that aeon knows and fetches."""
    try:
        from aeon.datasets import load_classification
        from aeon.datasets.tsc_datasets import multivariate, univariate
    except ImportError:
        return None
    full = next((known for known in (*univariate, *multivariate) if known.lower() == name.lower()), None)
    if full is None:
        return None
    try:
        with whole(home / full) as temporary:
            load_classification(full, extract_path=str(temporary))
            for file in list(temporary.glob(f"{full}/*.ts")):
                file.rename(temporary / file.name)
    except (OSError, ValueError) as error:
        raise UserError(
            f"cannot download {full} ({first_line(error)}): put {full}_TRAIN.ts and {full}_TEST.ts in {data_folder() / 'aeon-sets' / full}"
        ) from error
    return ts_folder(full, home / full)
