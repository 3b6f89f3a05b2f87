"""Arrays in .npy and .npz files, mapped where they lie instead of loaded."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ipse.errors import UserError

_LARGE = 1 << 28  # bytes


class Packed:
    """A large array in a compressed member of an .npz file, which can only be read from its beginning, in chunks."""

    def __init__(self, path: Path, member: str) -> None:
        self._path, self._member = path, member
        with zipfile.ZipFile(path) as archive, archive.open(member) as file:
            self.shape, self.dtype, by_column = _header(file)
        if by_column:
            raise ValueError("the array is stored column by column: save np.ascontiguousarray(x)")

    def chunks(self, rows: int) -> Iterator[NDArray[Any]]:
        """The array in pieces of at most `rows` rows."""
        width = int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize
        with zipfile.ZipFile(self._path) as archive, archive.open(self._member) as file:
            _header(file)
            for start in range(0, self.shape[0], rows):
                count = min(rows, self.shape[0] - start)
                yield np.frombuffer(file.read(count * width), self.dtype).reshape(count, *self.shape[1:])


def open_npy(path: Path) -> NDArray[Any]:
    """Maps a .npy file; UserError when it is no such file or holds Python objects."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"cannot read {path}: {error}") from error


class Npz:
    """The arrays of an .npz file by name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with zipfile.ZipFile(path) as archive:
                self._members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        except (OSError, zipfile.BadZipFile) as error:
            raise UserError(f"cannot read {path}: {error}") from error

    @property
    def names(self) -> list[str]:
        """What the arrays are called."""
        return list(self._members)

    def __getitem__(self, name: str) -> NDArray[Any] | Packed:
        """Maps an array that is stored as it is, loads a small compressed one, and leaves a large one where it is."""
        info = self._members[name]
        try:
            if info.compress_type == zipfile.ZIP_STORED:
                return self._mapped(info)
            if info.file_size > _LARGE:
                return Packed(self._path, info.filename)
            with np.load(self._path, allow_pickle=False) as arrays:
                return np.asarray(arrays[name])
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(f"cannot read {name} in {self._path}: {error}") from error

    def _mapped(self, info: zipfile.ZipInfo) -> NDArray[Any]:
        with open(self._path, "rb") as file:
            file.seek(info.header_offset)
            local = file.read(30)  # ends with the lengths of a name and of extra fields, after which the content begins
            file.seek(info.header_offset + 30 + sum(struct.unpack("<HH", local[26:30])))
            shape, dtype, by_column = _header(file)
            if 0 in shape:
                return np.empty(shape, dtype)
            return np.memmap(self._path, dtype, "r", file.tell(), shape, "F" if by_column else "C")


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    """Shape, type, and whether the array is stored column by column."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded")
    return shape, dtype, fortran and len(shape) > 1
