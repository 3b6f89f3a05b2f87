"""The files that are restored: which are meant, where each goes, how they are read and written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ipse.errors import UserError, first_line
from ipse.jobs.files import whole

if TYPE_CHECKING:
    from ipse.methods.restore.signals import Signal

KEPT = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".npy")


class File(NamedTuple):
    """A file to restore, and its name within what was given."""

    name: str
    path: Path


def gather(given: Sequence[Any], takes: str = "image") -> tuple[list[File], list[tuple[str, str]]]:
    """The files that are meant, and what of the folders cannot be entered; raises UserError when there are none."""
    if not given:
        raise UserError("what is to be restored? Give a photo or a folder, for example ipse restore photo.jpg")
    files: list[File] = []
    skipped: list[tuple[str, str]] = []
    for one in given:
        path = Path(one)
        if path.is_dir():
            files += _clips(path) if takes == "frames" else _inside(path, skipped)
        elif path.exists():
            files.append(File(path.name, path))
        else:
            raise UserError(f"there is no {str(path)!r}: give a photo, a folder of photos, or a .npy file")
    if not files and takes == "frames":
        raise UserError(
            f"no clips in {', '.join(map(str, given))}: folders of frames, pairs NAME_t2b and NAME_b2t, GIF and .npy are"
        )
    if not files:
        raise UserError(f"no photos in {', '.join(map(str, given))}: {', '.join(KEPT)} and other picture files are restored")
    return files, skipped


def targets(files: Sequence[File], folder: Path, overwrite: bool, takes: str = "image") -> dict[str, Path]:
    """Where each file goes; raises UserError where that is taken, twice the same, or the file itself."""
    result: dict[str, Path] = {}
    if folder.is_file():
        raise UserError(f"--out {folder} is a file: give a folder")
    for file in files:
        path = folder / (file.name if Path(file.name).suffix.lower() in KEPT else f"{file.name}.png")
        if takes == "frames" and Path(file.name).suffix.lower() != ".npy":
            path = folder / Path(file.name).with_suffix("")
        if file.name in result:
            raise UserError(f"two files are called {file.name}: restore them apart, or the folder that holds both")
        if path.exists() and path.samefile(file.path):
            raise UserError(f"{path} would be written over itself: take another --out than its own folder")
        if path.exists() and not overwrite:
            raise UserError(f"{path} is there already: take another --out, or --overwrite")
        result[file.name] = path
    return result


def references(files: Sequence[File], reference: str | Path | None) -> dict[str, Path]:
    """The true picture of each file that has one: by its name or, in another format, by the name without ending."""
    if reference is None:
        return {}
    path = Path(reference)
    if not path.exists():
        raise UserError(f"--reference {path}: there is no such file or folder")
    if not path.is_dir():
        if len(files) != 1:
            raise UserError(f"--reference {path} is one picture, and there are {len(files)} to restore: give a folder")
        return {files[0].name: path}
    found = _inside(path, [])
    exact, loose = {f.name: f.path for f in found}, {str(Path(f.name).with_suffix("")): f.path for f in found}
    pairs = {f.name: exact.get(f.name) or loose.get(str(Path(f.name).with_suffix(""))) for f in files}
    if not any(pairs.values()):
        raise UserError(
            f"--reference {path} holds no picture that is called like one of those to restore, such as {files[0].name}"
        )
    return {name: p for name, p in pairs.items() if p is not None}


def read(file: File, takes: str, skipped: list[tuple[str, str]]) -> Signal | None:
    from ipse.data.decode import UnreadableError
    from ipse.methods.restore import signals

    try:
        return signals.read(file.path, takes)
    except UnreadableError as error:
        skipped.append((file.name, str(error)))
    except (MemoryError, OSError) as error:
        skipped.append((file.name, first_line(error)))
    return None


def write(result: Signal, path: Path) -> None:
    import numpy as np

    from ipse.data import clips, photos
    from ipse.methods.restore.signals import array_of

    if path.is_dir():
        assert not isinstance(result, photos.Photo)
        clips.write(result, path)
    elif not isinstance(result, photos.Photo):
        np.save(path, result)
    elif path.suffix.lower() == ".npy":
        np.save(path, array_of(result))
    else:
        photos.write(result, path)


@contextmanager
def place(target: Path, takes: str) -> Iterator[Path]:
    """Where to write a result that becomes `target`, a file, or for clips a folder, when it is whole."""
    if takes != "frames" or target.suffix.lower() == ".npy":
        with whole(target) as draft:
            yield draft
        return
    from ipse.data import cache

    with cache.scratch(target.parent, target.name) as temporary:
        (temporary / "clip").mkdir()
        yield temporary / "clip"
        if target.exists():
            cache.discard(target)
        (temporary / "clip").rename(target)


def _clips(folder: Path) -> list[File]:
    from ipse.data import clips

    return [File(name, path) for name, path in clips.found(folder)]


def _inside(folder: Path, skipped: list[tuple[str, str]]) -> list[File]:
    """The pictures and arrays below a folder, by name."""
    from ipse.data.folders import listing

    found = listing(folder)
    skipped += [(one.name, one.reason) for one in found.skipped]
    arrays = [path.relative_to(folder).as_posix() for path in folder.rglob("*.npy") if not path.name.startswith(".")]
    return [File(name, folder / name) for name in sorted([*found.kinds.get("image", []), *arrays])]


def paths_of(given: str | Path | None, word: str, takes: str) -> list[Path]:
    if given is None:
        return []
    path = Path(given)
    if not path.exists():
        raise UserError(f"--{word} {path}: there is no such file or folder")
    inside = _clips(path) if takes == "frames" and path.is_dir() else _inside(path, []) if path.is_dir() else [File("", path)]
    if not inside:
        raise UserError(f"--{word} {path}: there are no {'clips' if takes == 'frames' else 'pictures'} in it")
    return [file.path for file in inside]
