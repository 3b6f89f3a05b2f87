"""Where data is kept on disk, and how a folder appears there whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ipse.errors import UserError

try:
    import fcntl
except ImportError:  # Windows: there, age alone tells what was left behind
    fcntl = None  # type: ignore[assignment]

_YOUNG, _OLD = 60.0, 86400.0


def cache_folder(cache: Path | None = None) -> Path:
    """The folder for what can be made again: `cache`, else $IPSE_CACHE, else ~/.cache/ipse."""
    return Path(cache or os.environ.get("IPSE_CACHE") or Path.home() / ".cache" / "ipse").expanduser().absolute()


def data_folder() -> Path:
    """The folder of data sets by name: $IPSE_DATA, else ~/.cache/ipse/data."""
    return Path(os.environ.get("IPSE_DATA") or Path.home() / ".cache" / "ipse" / "data").expanduser()


@contextmanager
def scratch(parent: Path, name: str) -> Iterator[Path]:
    """A temporary folder in `parent` that vanishes when the block ends; what killed processes left there goes as well.

    Raises UserError when the disk is full or `parent` cannot be written.
    """
    folder = parent / f"{name}.{uuid.uuid4().hex}.tmp"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _sweep(parent)
        folder.mkdir()
    except OSError as error:
        raise _explained(error, parent) or UserError(_unwritable(parent, error)) from error
    lock = _hold(folder)
    try:
        yield folder
    except OSError as error:
        explained = _explained(error, parent)
        if explained is None:
            raise
        raise explained from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


@contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """A temporary folder that becomes `folder` in one step when the block ends, and vanishes when it fails."""
    with scratch(folder.parent, folder.name) as temporary:
        yield temporary
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process made the same folder first, and its copy is as good
                raise


def discard(folder: Path) -> None:
    """Removes a folder in one step for those who look for it by name."""
    if folder.is_dir():
        with scratch(folder.parent, folder.name) as temporary:
            folder.rename(temporary / "discarded")


def _explained(error: OSError, folder: Path) -> UserError | None:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(f"no space left on the disk of {folder}: free some, or set IPSE_CACHE to a folder on another disk")
    return None


def _unwritable(folder: Path, error: OSError) -> str:
    return (
        f"cannot write to {folder} ({(error.strerror or str(error)).lower()}): set IPSE_CACHE to a folder that can be written"
    )


def _hold(folder: Path) -> int | None:
    """Locks a folder until its descriptor is closed or the process dies; None where folders cannot be locked."""
    if fcntl is None:
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _sweep(parent: Path) -> None:
    """Removes the temporary folders of processes that are gone."""
    for folder in parent.glob("*.tmp"):
        try:
            age = time.time() - folder.stat().st_mtime
            if age < _YOUNG:
                continue
            lock = _hold(folder)
        except OSError:
            continue
        if lock is not None or age > _OLD:
            shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)
