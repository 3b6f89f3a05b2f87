"""Tables with a column of pictures: parquet files and Hugging Face `datasets`."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from ipse.data.digest import open_file
from ipse.data.labels import NAMES, as_label
from ipse.data.pictures import SAMPLE, Pictures, Record
from ipse.data.store import Skipped
from ipse.data.wanted import Files
from ipse.errors import UserError

_ROWS = 32

Batches = Callable[[list[Skipped]], Iterator[tuple[list[Any], list[Any]]]]


class Columns(NamedTuple):
    """Where a table keeps its pictures and labels, and what the label numbers mean."""

    picture: str
    label: str | None
    classes: tuple[str, ...] | None

    @property
    def kept(self) -> list[str]:
        """The columns that are read."""
        return [self.picture, self.label] if self.label else [self.picture]


class Table(Pictures):
    """The pictures of a table of `rows` rows: `every` reads them all and `some` a few, as lists of pictures and of labels."""

    def __init__(
        self,
        name: str,
        classes: tuple[str, ...] | None,
        rows: int,
        every: Batches,
        some: Batches,
        files: Files | None,
        prefix: str,
    ) -> None:
        self.name, self.classes, self.files, self.prefix = name, classes, files, prefix
        self._rows, self._every, self._some = rows, every, some

    @property
    def count(self) -> int:
        return self._rows

    def records(self, skipped: list[Skipped]) -> Iterator[Record]:
        return self._records(self._every(skipped))

    def sample(self) -> Iterator[Record]:
        return self._records(self._some([]))

    def _records(self, batches: Iterator[tuple[list[Any], list[Any]]]) -> Iterator[Record]:
        cells = chain.from_iterable(zip(*batch, strict=True) for batch in batches)
        return (self._record(row, picture, label) for row, (picture, label) in enumerate(cells))

    def _record(self, row: int, picture: Any, label: Any) -> Record:
        content, path = (picture.get("bytes"), picture.get("path")) if isinstance(picture, dict) else (picture, None)
        name = self.prefix + (_shown(path) if path else str(row))
        file = partial(io.BytesIO, content) if content is not None else partial(_file, path)
        return Record(name, class_name(label, self.classes), file, len(content or b""))


def class_name(label: Any, classes: tuple[str, ...] | None) -> str | None:
    """The class that a cell of the label column means, if any."""
    if classes is None or not isinstance(label, int):
        return as_label(label)
    return classes[label] if 0 <= label < len(classes) else None


def _shown(path: str) -> str:
    """A path as a name: as it is when relative, without the folders of this machine when not."""
    return "/".join(Path(path).parts[-2:]) if Path(path).is_absolute() else path


def _file(path: str | None) -> IO[bytes]:
    if path is None:
        raise OSError("no picture in this row")
    return open_file(Path(path))


def find_columns(name: str, features: Any) -> Columns:
    """Finds the columns of pictures and labels by their types and names.

    Raises UserError when there are no pictures.
    """
    import datasets

    def is_picture(feature: Any) -> bool:
        return isinstance(feature, datasets.Image) or (isinstance(feature, dict) and "bytes" in feature) or is_bytes(feature)

    def is_bytes(feature: Any) -> bool:
        return getattr(feature, "dtype", None) in ("binary", "large_binary")

    pictures = sorted(
        (c for c in features if is_picture(features[c])), key=lambda c: (is_bytes(features[c]), list(features).index(c))
    )
    if not pictures:
        raise UserError(f"no column of pictures in {name}: expected an Image or bytes column, got {', '.join(features)}")
    kinds = {c: f for c, f in features.items() if isinstance(f, (datasets.ClassLabel, datasets.Value)) and not is_bytes(f)}
    named = [c for word in NAMES for c in kinds if c.lower() == word]
    label = next(chain(named, (c for c, f in kinds.items() if isinstance(f, datasets.ClassLabel))), None)
    classes = tuple(kinds[label].names or ()) if label and isinstance(kinds[label], datasets.ClassLabel) else None
    return Columns(pictures[0], label, classes)


def dataset_table(name: str, dataset: Any, files: Files | None = None, prefix: str = "") -> Table:
    """A `datasets.Dataset` as pictures: its cells as they are stored, so that a broken one is our decoder's to survive."""
    columns = find_columns(name, dataset.features)
    table = dataset.select_columns(columns.kept).with_format("arrow")
    some = table.select(range(0, len(table), -(-len(table) // SAMPLE) or 1))
    every, few = (partial(_dataset_batches, part, columns) for part in (table, some))
    return Table(name, columns.classes, len(table), every, few, files, prefix)


def _dataset_batches(table: Any, columns: Columns, skipped: list[Skipped]) -> Iterator[tuple[list[Any], list[Any]]]:
    for start in range(0, len(table), _ROWS):
        yield _lists(table[start : start + _ROWS], columns)


def holds_pictures(paths: Sequence[Path]) -> bool:
    """Whether the first parquet file that can be read has a column of pictures."""
    import datasets

    schema = next((schema for path in paths if (schema := _head(path)[0]) is not None), None)
    if schema is None:
        return True  # to be told why none can be read
    try:
        find_columns("", datasets.Features.from_arrow_schema(schema))
    except (UserError, ValueError):
        return False
    return True


def parquet_table(name: str, files: Files, prefix: str = "") -> Table:
    """Parquet files as pictures, read piece by piece; one that is broken is skipped.

    Raises UserError when none can be read.
    """
    import datasets

    heads = [_head(files.root / file) for file in files.names]
    schema = next((schema for schema, _, _ in heads if schema is not None), None)
    if schema is None:
        raise UserError(f"cannot read {name}: {heads[0][2]}")
    columns = find_columns(name, datasets.Features.from_arrow_schema(schema))
    few = -(-SAMPLE // _ROWS // len(files.names))
    every, some = (partial(_parquet_batches, files, columns, most) for most in (None, few))
    return Table(name, columns.classes, sum(rows for _, rows, _ in heads), every, some, files, prefix)


def _head(path: Path) -> tuple[Any, int, str]:
    """The schema and the number of rows of a parquet file, or why it has none."""
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            return file.schema_arrow, file.metadata.num_rows, ""
    except (OSError, ValueError) as error:
        return None, 0, _first_line(error)


def _parquet_batches(
    files: Files, columns: Columns, most: int | None, skipped: list[Skipped]
) -> Iterator[tuple[list[Any], list[Any]]]:
    for name in files.names:
        yield from _file_batches(files.root / name, name, columns, most, skipped)


def _file_batches(
    path: Path, name: str, columns: Columns, most: int | None, skipped: list[Skipped]
) -> Iterator[tuple[list[Any], list[Any]]]:
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, buffer_size=1 << 20) as file:
            for batch in islice(file.iter_batches(_ROWS, columns=columns.kept), most):
                yield _lists(batch, columns)
    except (OSError, ValueError, KeyError) as error:
        skipped.append(Skipped(name, f"the parquet file is broken: {_first_line(error)}"))


def stream(name: str, dataset: Any) -> tuple[Iterator[tuple[bytes, str | None]], tuple[str, ...] | None]:
    """A `datasets.IterableDataset` as encoded pictures with labels, and the classes in their order if it knows them."""
    import datasets

    if dataset.features is None:  # made by a generator that does not say what it yields
        example: dict[str, Any] = next(iter(dataset), {})
        columns = find_columns(name, {c: _feature(value) for c, value in example.items()})
    else:
        columns = find_columns(name, dataset.features)
        if isinstance(dataset.features[columns.picture], datasets.Image):
            dataset = dataset.cast_column(columns.picture, datasets.Image(decode=False))
    samples = (
        (_encoded(row[columns.picture]), class_name(row[columns.label] if columns.label else None, columns.classes))
        for row in dataset
    )
    return samples, columns.classes


def _feature(value: Any) -> Any:
    """What a column holds, by one of its cells."""
    import datasets
    from PIL import Image

    if isinstance(value, (Image.Image, bytes)):
        return datasets.Image()
    return value if isinstance(value, dict) else datasets.Value("string" if isinstance(value, str) else "int64")


def _encoded(picture: Any) -> bytes:
    """The bytes of a picture file; none when there is no picture."""
    if isinstance(picture, dict):
        path = Path(picture.get("path") or "")
        return picture.get("bytes") or (path.read_bytes() if path.is_file() else b"")
    if isinstance(picture, bytes) or picture is None:
        return picture or b""
    content = io.BytesIO()
    picture.save(content, "TIFF" if picture.mode in ("F", "CMYK", "LAB", "YCbCr", "HSV") else "PNG")
    return content.getvalue()


def _lists(batch: Any, columns: Columns) -> tuple[list[Any], list[Any]]:
    pictures = batch[columns.picture].to_pylist()
    return pictures, batch[columns.label].to_pylist() if columns.label else [None] * len(pictures)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
