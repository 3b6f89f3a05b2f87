"""Turn data into embeddings on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from ipse.errors import UserError
from ipse.jobs.run import Run, matching


def embed(
    run: Annotated[str | Path, "a run's folder"],
    data: Annotated[Any, "data in any form that `ipse pretrain` takes"],
    *,
    out: Annotated[str | Path, "FILE.npz or FILE.parquet"],
    labels: Annotated[str | Path | None, "CSV with the columns path,label"] = None,
) -> Path:
    """Write the embedding of every sample with its name and label.

    An .npz file holds `z` (N, dim) float32, `name`, `label` (empty where there is none) and `split`; a .parquet file the same as columns.
    """
    path = Path(out)
    if path.suffix not in (".npz", ".parquet"):
        raise UserError(f"--out {path}: embeddings are written to .npz or .parquet")
    import numpy as np

    from ipse.data import open_data
    from ipse.metrics.embedding import embeddings

    encoder = Run.open(run).encoder
    opened = open_data(data, labels=labels, size=encoder.size)
    splits = {"train": opened.train} | ({"test": opened.test} if opened.test is not None else {})
    z = np.concatenate([embeddings(encoder, matching(part, encoder), encoder.size).numpy() for part in splits.values()])
    names = [str(name) for part in splits.values() for name in part.names]
    text = np.array([*opened.classes, ""])
    label = np.concatenate([text[part.y] for part in splits.values()])  # -1, no label, is the empty word at the end
    split = np.repeat(list(splits), [len(part) for part in splits.values()])
    temporary = path.with_name(path.name + ".part")
    try:
        if path.suffix == ".npz":
            with open(temporary, "wb") as file:
                np.savez(file, z=z, name=np.array(names), label=label, split=split)
        else:
            _parquet(temporary, z, names, label.tolist(), split.tolist())
        temporary.replace(path)
    except OSError as e:
        temporary.unlink(missing_ok=True)
        raise UserError(f"cannot write {path}: {e.strerror or e}") from e
    return path


def _parquet(path: Path, z: Any, names: list[str], labels: list[str], splits: list[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    vectors = pa.FixedSizeListArray.from_arrays(pa.array(z.reshape(-1)), z.shape[1])
    pq.write_table(pa.table({"name": names, "label": labels, "split": splits, "z": vectors}), path)
