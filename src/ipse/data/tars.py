"""Webdataset shards: tar files in which files of one name, up to the first dot, make a sample."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import IO

from ipse.data.decode import extensions
from ipse.data.labels import NAMES, as_label
from ipse.data.pictures import Pictures, Record
from ipse.data.store import Skipped
from ipse.data.wanted import Files


class Tars(Pictures):
    """The samples of tar files: a picture (key.jpg, ...) and its label, in key.cls or under a name like `label` in key.json."""

    def __init__(self, name: str, shards: Files, prefix: str = "") -> None:
        self.name, self.files, self.prefix = name, shards, prefix
        self._shards = shards

    def records(self, skipped: list[Skipped]) -> Iterator[Record]:
        for name in self._shards.names:
            path = self._shards.root / name
            try:
                with tarfile.open(path, "r:") as tar:
                    for key, members in groupby(_members(tar), lambda member: _key(member.name)[0]):
                        yield from _sample(tar, path, self.prefix + key, members)
            except (OSError, tarfile.TarError) as error:
                skipped.append(Skipped(name, f"the tar file is broken: {error}"))


class Stream(Tars):
    """Samples that can be read only once, kept in a tar file in `folder` until their store is built."""

    def __init__(
        self, name: str, samples: Iterable[tuple[bytes, str | None]], classes: tuple[str, ...] | None, folder: Path, prefix: str
    ) -> None:
        write_tar(folder / "stream.tar", samples)
        super().__init__(name, Files(folder, ["stream.tar"], ""), prefix)
        self.classes = classes
        self.files = None  # a file of a moment is not worth remembering


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in tar:
        if member.isfile() and not os.path.basename(member.name).startswith("."):
            yield member
        tar.members.clear()  # type: ignore[attr-defined]  # it would remember every member it has seen


def _key(name: str) -> tuple[str, str]:
    folder, _, file = name.removeprefix("./").rpartition("/")
    stem, _, ending = file.partition(".")
    return (f"{folder}/{stem}" if folder else stem), ending.lower()


def _sample(tar: tarfile.TarFile, path: Path, key: str, members: Iterable[tarfile.TarInfo]) -> Iterator[Record]:
    label, picture = None, None
    for member in members:
        ending = _key(member.name)[1]
        if f".{ending.rpartition('.')[2]}" in extensions():
            picture = picture or member
        elif ending in ("cls", "json") and (content := tar.extractfile(member)) is not None:
            label = as_label(content.read()) if ending == "cls" else _json_label(content.read()) or label
    if picture is not None:
        yield Record(key, label, partial(_member, path, picture.offset_data, picture.size))


def _json_label(content: bytes) -> str | None:
    try:
        about = json.loads(content)
    except ValueError:
        return None
    return next((as_label(about[name]) for name in NAMES if name in about), None) if isinstance(about, dict) else None


def _member(path: Path, offset: int, size: int) -> IO[bytes]:
    with open(path, "rb") as file:
        file.seek(offset)
        return io.BytesIO(file.read(size))


def write_tar(path: Path, samples: Iterable[tuple[bytes, str | None]]) -> None:
    """Writes pictures and labels as such a file."""
    with tarfile.open(path, "w") as tar:
        for i, (picture, label) in enumerate(samples):
            for ending, content in (("png", picture), ("cls", (label or "").encode())):
                member = tarfile.TarInfo(f"{i}.{ending}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            tar.members.clear()  # type: ignore[attr-defined]
