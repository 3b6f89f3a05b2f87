"""Turn data into embeddings on disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ipse.errors import UserError
from ipse.jobs.files import whole
from ipse.jobs.run import Run, data_for

if TYPE_CHECKING:
    import numpy as np

    from ipse.data import Data


def embed(
    run: Annotated[str | os.PathLike[str], "a run's folder"],
    data: Annotated[Any, "data in any form that `ipse pretrain` takes"],
    *,
    out: Annotated[str | Path, "FILE.npz or FILE.parquet"],
    labels: Annotated[
        str | Path | None,
        "FILE.csv with the columns path,label, FILE.csv:COLUMN, or a COLUMN of the data's own table; most may be empty",
    ] = None,
) -> Path:
    """Write the embedding of every sample with its name and label.

    An .npz file holds `z` (N, dim) float32, `name`, `label` (empty where there is none) and `split`; a .parquet file the same as
    columns.

    Raises UserError for other endings, for data that does not fit the encoder, and where the file cannot be written.
    """
    path = Path(out)
    writers = {".npz": _npz, ".parquet": _parquet}
    if path.suffix not in writers:
        raise UserError(f"--out {path}: embeddings are written to .npz or .parquet")
    from ipse.metrics.embedding import embeddings

    encoder = Run.open(run).encoder
    opened = data_for(encoder, data, labels)
    with whole(path) as draft:
        z = [embeddings(encoder, part).numpy() for part in (opened.train, opened.test) if part is not None]
        writers[path.suffix](draft, _columns(opened, z))
    return path


def _columns(data: Data, z: list[np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
    import numpy as np

    splits = {"train": data.train} | ({"test": data.test} if data.test is not None else {})
    words = np.array([*data.classes, ""])  # -1, no label, is the empty word at the end
    return {
        "z": np.concatenate(z),
        "name": np.array([name for part in splits.values() for name in part.names]),
        "label": np.concatenate([words[part.y] for part in splits.values()]),
        "split": np.repeat(list(splits), [len(part) for part in splits.values()]),
    }


def _npz(path: Path, columns: dict[str, np.ndarray[Any, Any]]) -> None:
    import numpy as np

    arrays: Any = columns
    np.savez(path, **arrays)


def _parquet(path: Path, columns: dict[str, np.ndarray[Any, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    z = columns.pop("z")
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(z.reshape(-1)), z.shape[1])
    pq.write_table(pa.table({**{name: pa.array(column.tolist()) for name, column in columns.items()}, "z": vectors}), path)
