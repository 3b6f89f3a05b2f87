"""What DATA may be: a folder, a file, arrays, a `datasets` object, or a name."""

from __future__ import annotations

import glob
import math
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ipse.data import tables
from ipse.data.arrays import Arrays
from ipse.data.cache import scratch
from ipse.data.decode import extensions
from ipse.data.folders import Folder, folder_splits, kind_of, listing
from ipse.data.given import Rows
from ipse.data.labels import LABEL_FILES
from ipse.data.names import FETCHED, SHIPPED, named
from ipse.data.npz import Npz, Packed, open_npy
from ipse.data.pictures import Pictures
from ipse.data.recordings import Recordings, WaveArrays
from ipse.data.series_arrays import SeriesArrays
from ipse.data.splits import by_word, choose
from ipse.data.store import Skipped
from ipse.data.tabular import ENDINGS, Frame, FrameFiles
from ipse.data.tars import Stream, Tars
from ipse.data.ts_files import TsFile, aeon_names, aeon_set, ts_folder
from ipse.data.wanted import Files, Source, Wanted
from ipse.errors import UserError, unknown

_KINDS = (
    "a folder of pictures or recordings, a .csv, .tsv, .parquet, .npy, .npz, .ts or .tar file, an array, a DataFrame, "
    "a datasets.Dataset, or a name"
)


@dataclass(frozen=True)
class Found:
    """The parts of DATA, what belongs to neither, how many files are of no known kind, and where a table of labels may be."""

    name: str
    train: Source
    test: Source | None = None
    skipped: list[Skipped] = field(default_factory=list)
    ignored: int = 0
    folder: Path | None = None


def find(data: Any, wanted: Wanted, stack: ExitStack) -> Found:
    """Finds out what DATA is; what is needed only until it is open is left to `stack`.

    Raises UserError when it is nothing that is known.
    """
    if isinstance(data, (str, os.PathLike)):
        return _named_or_path(data, wanted)
    if type(data).__module__.partition(".")[0] == "datasets":
        return _datasets("dataset", data, wanted, stack)
    if isinstance(data, (list, tuple)) and data and all(isinstance(item, (str, os.PathLike)) for item in data):
        return _shards("files", [Path(item).resolve() for item in data], wanted)
    x, y = data if isinstance(data, tuple) and len(data) == 2 else (data, None)
    if type(x).__module__.partition(".")[0] == "pandas" and hasattr(x, "columns"):
        return Found("table", Frame("the table", x, None if y is None else np.asarray(y)))
    if wanted.modality == "series" and isinstance(x, list) and x and not isinstance(x[0], str):
        return Found(
            "series", SeriesArrays("the series", [np.asarray(_numpy(one)) for one in x], None if y is None else _numpy(y))
        )
    if not isinstance(x, (np.ndarray, torch.Tensor)):
        raise UserError(f"DATA cannot be a {type(x).__name__}: expected {_KINDS}")
    return Found("array", array_source("the array", _numpy(x), wanted, None if y is None else _numpy(y)))


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
            return _file(path, wanted)
        if matches := sorted(glob.glob(str(path))):
            return _shards(path.name, [Path(match).resolve() for match in matches], wanted)
        if not is_name:
            raise UserError(f"there is no folder or file {word!r}")
    place = named(word, wanted.cache, wanted.progress)
    if isinstance(place, Path):
        return _folder(place, wanted)
    if place is not None:
        return Found(word, place)
    if parts := aeon_set(word, wanted.cache):
        return Found(word, *parts)
    known = (*SHIPPED, *FETCHED, *aeon_names(wanted.cache))
    raise UserError(f"{unknown('data', word, known)} (nor is there a folder or file {word!r})")


def _file(path: Path, wanted: Wanted) -> Found:
    ending = path.suffix.lower()
    if ending == ".npy":
        return Found(path.stem, array_source(str(path), open_npy(path), wanted, files=Files(path, ["."], "train")))
    if ending == ".npz":
        return Found(path.stem, npz_arrays(str(path), path, wanted))
    if ending == ".ts":
        return Found(path.stem, TsFile(path.stem, path.resolve()))
    kind = kind_of(path.name)
    if kind in ("shards", "table"):
        return _shards(path.stem, [path.resolve()], wanted)
    if kind == "image":
        raise UserError(f"{path} is one picture: give the folder {path.parent}")
    if kind == "audio":
        return Found(path.stem, Recordings(str(path), path.resolve().parent, [path.name]))
    raise UserError(f"cannot read {path}: expected {_KINDS}")


_CALLED = {
    "image": "pictures",
    "audio": "recordings",
    "shards": ".parquet and .tar files",
    "table": "tables",
    "series": ".ts files",
}
_OF = {"image": ("image", "shards"), "audio": ("audio",), "series": ("series", "table", "shards"), "table": ("table", "shards")}


def _folder(path: Path, wanted: Wanted) -> Found:
    name = path.resolve().name or str(path)
    if (path / "dataset_dict.json").is_file() or all((path / f"{part}.json").is_file() for part in ("state", "dataset_info")):
        return _saved(name, path)
    if (path / "train.npz").is_file():
        return Found(name, *npz_folder(name, path, wanted))
    if parts := ts_folder(name, path):
        return Found(name, *parts)
    arrays = [file for file in sorted(path.iterdir()) if file.suffix in (".npz", ".npy")]
    content = listing(path)
    if len(arrays) == 1 and not content.kinds:
        return replace(_file(arrays[0], wanted), name=name)
    fitting = {k: v for k, v in content.kinds.items() if wanted.modality is None or k in _OF[wanted.modality]}
    if not fitting:
        there = ", ".join(f"{len(v)} {_CALLED[k]}" for k, v in content.kinds.items())
        wish = "pictures, recordings or tables" if wanted.modality is None else f"{wanted.modality} data"
        known = " ".join(sorted(extensions()))
        raise UserError(
            f"no {wish} in {path} ({there + ', ' if there else ''}{content.others} other files; known pictures: {known})"
        )
    kind = max(fitting, key=lambda k: (len(fitting[k]), k in ("image", "audio")))
    names, skipped = fitting[kind], list(content.skipped)
    for other, paths in content.kinds.items():
        beside = [p for p in paths if other != "table" or Path(p).name not in LABEL_FILES]
        if other != kind and beside:
            hint = "" if other == "shards" else f"; --modality {other} takes them"
            skipped.append(Skipped(f"{len(beside)} {_CALLED[other]}", f"beside {len(names)} {_CALLED[kind]}: not used{hint}"))
    if kind in ("shards", "table", "series"):
        if kind == "series":
            raise UserError(f"several .ts files in {path}: expected NAME_TRAIN.ts and NAME_TEST.ts of one name")
        found = _shards(name, [path.resolve() / shard for shard in names], wanted)
        return replace(found, skipped=skipped + found.skipped)
    make: Callable[..., Folder | Recordings] = Folder if kind == "image" else Recordings
    train, test, unused = folder_splits(path, name, names, make)
    return Found(name, train, test, skipped + unused, content.others, path)


def array_source(
    name: str,
    x: Rows,
    wanted: Wanted,
    y: Any = None,
    classes: tuple[str, ...] | None = None,
    files: Files | None = None,
    prefix: str = "",
) -> Source:
    """An array as what the user says it is, or by its shape.

    Pictures are bytes, (N, H, W, C), (N, C, H, W), (N, S, S), or rows (N, S * S), S >= 4, without negative and missing numbers; other arrays
    (N, C, T) are series. Other rows, of texts too, are what a data frame with the columns 0, 1, ... is: a series each where neighbouring
    columns are alike (`recognise`), else a table.
    """
    modality = wanted.form["modality"] if wanted.form is not None else wanted.like and wanted.like.samples.form["modality"]
    modality = modality or wanted.modality or by_shape(x)
    if modality == "audio":
        return WaveArrays(name, x, y, classes, files, prefix)
    if modality == "series":
        return SeriesArrays(name, x, y, classes, files, prefix)
    if modality == "table":
        import pandas

        if len(x.shape) != 2 or isinstance(x, Packed):
            raise UserError(f"expected rows (N, D) in {name} for a table, got the shape {tuple(x.shape)}")
        rows = pandas.DataFrame(np.asarray(x), columns=[str(i) for i in range(x.shape[1])]).infer_objects()
        return Frame(name, rows, _named(y, classes), prefix)
    return Arrays(name, x, y, classes, files, prefix)


def by_shape(x: Rows) -> str:
    """The modality of an array by its shape, as `array_source` says; "table" for rows, among which that still looks for series."""
    shape = tuple(x.shape)
    if len(shape) == 2 and x.dtype.kind in "OUS" and not isinstance(x, Packed):
        return "table"
    if x.dtype == np.uint8 or len(shape) not in (2, 3) or x.dtype.kind not in "biuf" or 0 in shape or isinstance(x, Packed):
        return "image"
    if len(shape) == 3:
        return "image" if shape[1] == shape[2] else "series"
    side, first = math.isqrt(shape[1]), np.asarray(x[:1000])
    square = side >= 4 and side * side == shape[1]
    return "image" if square and not (np.isnan(first) | (first < 0)).any() else "table"


def _named(y: Any, classes: tuple[str, ...] | None) -> Any:
    """Labels by name where they are numbers among classes."""
    return y if y is None or classes is None else np.array([*classes, ""], dtype=object)[np.asarray(y, np.int64)]


def _shards(name: str, paths: Sequence[Path], wanted: Wanted) -> Found:
    """Files of one kind with several samples each, in parts if their names say so."""
    endings = {"".join(path.suffixes[-2:] if path.suffix == ".gz" else path.suffixes[-1:]).lower() for path in paths}
    if len(endings) != 1 or not endings <= {*ENDINGS, ".tar"}:
        raise UserError(f"expected files of one kind, .csv, .parquet or .tar, in {name}, got {' and '.join(sorted(endings))}")
    if missing := [path for path in paths if not path.is_file()]:
        raise UserError(f"there is no file {missing[0]}")
    root = Path(os.path.commonpath([path.parent for path in paths]))
    parts = by_word(sorted(path.relative_to(root).as_posix() for path in paths))
    make: Callable[..., Source] = Tars if endings == {".tar"} else FrameFiles
    if endings == {".parquet"} and (wanted.modality == "image" or (wanted.modality is None and tables.holds_pictures(paths))):
        make = tables.parquet_table
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


def npz_folder(name: str, folder: Path, wanted: Wanted) -> tuple[Source, Source | None]:
    """The arrays of train.npz and, where it is there, test.npz."""
    test = folder / "test.npz"
    return npz_arrays(name, folder / "train.npz", wanted), (
        npz_arrays(f"{name}/test", test, wanted, "test/") if test.is_file() else None
    )


def npz_arrays(name: str, path: Path, wanted: Wanted, prefix: str = "") -> Source:
    """The arrays `x` and (if there) `y` and `classes` of an .npz file; or its only array as x.

    With `lengths` (N,), x (sum of lengths, C) is N series one after the other; `subject` or `group` (N,) says which belong together.
    """
    arrays = Npz(path)
    samples = ["x"] if "x" in arrays.names else [key for key in arrays.names if key not in ("y", "classes")]
    if len(samples) != 1:
        raise UserError(f"expected an array x (and y, classes) in {path}, got {', '.join(arrays.names) or 'nothing'}")
    y, classes = (np.asarray(arrays[key]) if key in arrays.names else None for key in ("y", "classes"))
    texts = None if classes is None else tuple(map(str, classes.tolist()))
    if "x" in arrays.names and "lengths" in arrays.names:
        ends, x = np.cumsum(np.asarray(arrays["lengths"])), np.asarray(arrays["x"])
        if len(ends) and ends[-1] != len(x):
            raise UserError(f"the lengths in {path} add up to {ends[-1]}, but x has {len(x)} rows")
        group = next((np.asarray(arrays[key]) for key in ("group", "subject") if key in arrays.names), None)
        series = [np.atleast_2d(part.T) for part in np.split(x, ends[:-1])]
        return SeriesArrays(name, series, y, texts, Files(path, ["."], "train"), prefix, group)
    return array_source(name, arrays[samples[0]], wanted, y, texts, Files(path, ["."], "train"), prefix)
