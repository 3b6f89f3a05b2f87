"""What DATA may be: a folder, a file, arrays, a `datasets` object, or a name."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ipse.data import tables
from ipse.data.arrays import Arrays
from ipse.data.cache import scratch
from ipse.data.decode import extensions
from ipse.data.folders import folder_splits, listing
from ipse.data.names import FETCHED, SHIPPED, named, npz_arrays, npz_folder
from ipse.data.npz import open_npy
from ipse.data.pictures import Pictures
from ipse.data.splits import by_word, choose
from ipse.data.store import Skipped
from ipse.data.tars import Stream, Tars
from ipse.data.wanted import Files, Source, Wanted
from ipse.errors import UserError, unknown

_KINDS = "a folder of pictures, a .npy, .npz, .parquet or .tar file, an array, a datasets.Dataset, or a name"


@dataclass(frozen=True)
class Found:
    """The parts of DATA, what belongs to neither, and how many files are no pictures."""

    name: str
    train: Source
    test: Source | None = None
    skipped: list[Skipped] = field(default_factory=list)
    ignored: int = 0


def find(data: Any, wanted: Wanted, stack: ExitStack) -> Found:
    """Finds out what DATA is; what is needed only until it is open is left to `stack`.

    Raises UserError when it is nothing that is known.
    """
    if isinstance(data, (str, os.PathLike)):
        return _named_or_path(data, wanted)
    if type(data).__module__.partition(".")[0] == "datasets":
        return _datasets("dataset", data, wanted, stack)
    if isinstance(data, (list, tuple)) and data and all(isinstance(item, (str, os.PathLike)) for item in data):
        return _shards("files", [Path(item).resolve() for item in data])
    x, y = data if isinstance(data, tuple) and len(data) == 2 else (data, None)
    if not isinstance(x, (np.ndarray, torch.Tensor)):
        raise UserError(f"DATA cannot be a {type(x).__name__}: expected {_KINDS}")
    return Found("array", Arrays("the array", _numpy(x), None if y is None else _numpy(y)))


def _numpy(x: Any) -> Any:
    """An array that shares the tensor's memory where it can."""
    if not isinstance(x, torch.Tensor):
        return x
    return (x.float() if x.dtype == torch.bfloat16 else x).detach().cpu().numpy()


def _named_or_path(data: str | os.PathLike[str], wanted: Wanted) -> Found:
    word = os.fspath(data)
    path = Path(os.path.expanduser(word))
    if not word:
        raise UserError(f"DATA is empty: expected {_KINDS}")
    is_name = isinstance(data, str) and os.sep not in word and "." not in word
    if not (is_name and word in (*SHIPPED, *FETCHED)):
        if path.is_dir():
            return _folder(path, wanted)
        if path.exists():
            return _file(path)
        if matches := sorted(glob.glob(str(path))):
            return _shards(path.name, [Path(match).resolve() for match in matches])
        if not is_name:
            raise UserError(f"there is no folder or file {word!r}")
    if (parts := named(word, wanted.cache, wanted.progress)) is None:
        raise UserError(f"{unknown('data', word, (*SHIPPED, *FETCHED))} (nor is there a folder or file {word!r})")
    return Found(word, *parts)


def _file(path: Path) -> Found:
    ending = path.suffix.lower()
    if ending == ".npy":
        return Found(path.stem, Arrays(str(path), open_npy(path), files=Files(path, ["."], "train")))
    if ending == ".npz":
        return Found(path.stem, npz_arrays(str(path), path))
    if ending in (".parquet", ".tar"):
        return _shards(path.stem, [path.resolve()])
    if ending in extensions():
        raise UserError(f"{path} is one picture: give the folder {path.parent}")
    raise UserError(f"cannot read {path}: expected {_KINDS}")


def _folder(path: Path, wanted: Wanted) -> Found:
    name = path.resolve().name or str(path)
    if (path / "dataset_dict.json").is_file() or all((path / f"{part}.json").is_file() for part in ("state", "dataset_info")):
        return _saved(name, path)
    if (path / "train.npz").is_file():
        return Found(name, *npz_folder(name, path))
    content = listing(path)
    if len(content.shards) > len(content.pictures):
        return _shards(name, [path.resolve() / shard for shard in content.shards])
    if not content.pictures:
        known = " ".join(sorted(extensions()))
        raise UserError(f"no pictures in {path} ({content.others} other files; known: {known})")
    train, test, unused = folder_splits(path, name, content.pictures)
    return Found(name, train, test, content.skipped + unused, content.others)


def _shards(name: str, paths: Sequence[Path]) -> Found:
    """Parquet files or tar files, in parts if their names say so."""
    endings = {path.suffix.lower() for path in paths}
    if len(endings) != 1 or not endings <= {".parquet", ".tar"}:
        raise UserError(f"expected .parquet files or .tar files in {name}, got {' and '.join(sorted(endings))}")
    if missing := [path for path in paths if not path.is_file()]:
        raise UserError(f"there is no file {missing[0]}")
    root = Path(os.path.commonpath([path.parent for path in paths]))
    parts = by_word(sorted(path.relative_to(root).as_posix() for path in paths))
    make = tables.parquet_table if endings == {".parquet"} else Tars
    train, test = choose(parts)
    return Found(
        name,
        make(name, Files(root, parts[train], "train")),
        make(f"{name}/{test}", Files(root, parts[test], "test"), f"{test}/") if test else None,
        _unused(parts, train, test),
    )


def _saved(name: str, path: Path) -> Found:
    """A folder that `save_to_disk` wrote."""
    import datasets

    try:
        data = datasets.load_from_disk(str(path))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"cannot read the dataset {path}: {error}") from error
    parts = dict(data) if isinstance(data, datasets.DatasetDict) else {"": data}
    roots = {part: path / part for part in parts}

    def table(part: str, prefix: str) -> Pictures:
        files = sorted(file.relative_to(roots[part]).as_posix() for file in roots[part].rglob("*") if file.is_file())
        return tables.dataset_table(name, parts[part], Files(roots[part], files, "train"), prefix)

    train, test = choose(parts)
    return Found(name, table(train, ""), table(test, f"{test}/") if test else None, _unused(parts, train, test))


def _datasets(name: str, data: Any, wanted: Wanted, stack: ExitStack) -> Found:
    """A Dataset, IterableDataset, or a dict of them."""
    import datasets

    parts = dict(data) if isinstance(data, dict) else {"": data}
    if not parts or not all(isinstance(part, (datasets.Dataset, datasets.IterableDataset)) for part in parts.values()):
        raise UserError(f"DATA cannot be a {type(data).__name__}: expected {_KINDS}")

    def table(part: str, prefix: str) -> Pictures:
        if isinstance(parts[part], datasets.Dataset):
            return tables.dataset_table(name, parts[part], prefix=prefix)
        folder = stack.enter_context(scratch(wanted.cache / "stores", "stream"))
        return Stream(name, *tables.stream(name, parts[part]), folder, prefix)

    train, test = choose(parts)
    return Found(name, table(train, ""), table(test, f"{test}/") if test else None, _unused(parts, train, test))


def _unused(parts: Iterable[str], *used: str | None) -> list[Skipped]:
    return [Skipped(part, "this part is neither for training nor for testing: not used") for part in parts if part not in used]
