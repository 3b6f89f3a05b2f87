"""What a run that names pixels has beyond one that names samples: a mask of every picture."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipse.jobs.files import whole
from ipse.jobs.run import Run

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from ipse.data import Data, Samples
    from ipse.models import Classifier

SHOWN = 12  # pictures of a report
BAND = 1 << 24  # scores that are worked on at a time


def predict_masks(run: Run, model: Classifier, data: Data) -> None:
    """Writes a mask of every picture to learn from to masks/, as large as its file, and what is in it to predictions.csv.

    The masks are those of a folder that --labels takes: PNG with a palette, and classes.txt. The table has the share of each class, the mean
    confidence of the pixels, and whether a mask was given.
    """
    from ipse.data.masks import write_masks

    rows: list[list[Any]] = []
    root = Path(run.config["data"]) if run.config["data"] else None

    def masks() -> Iterator[tuple[str, NDArray[np.int64]]]:
        for name, given, scores in _scored(model, data.train):
            mask, confidence = _named(scores, _size(root, name, data.train, len(rows)))
            shares = [f"{float((mask == k).double().mean()):.4f}" for k in range(len(model.classes))]
            rows.append([name, *shares, f"{float(confidence.mean()):.4f}", "mask" if given else ""])
            yield name, mask.numpy()

    write_masks(run.masks, masks(), model.classes)
    with whole(run.predictions) as draft, open(draft, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["name", *model.classes, "confidence", "given"])
        table.writerows(rows)


def masks(run: Run, data: Data) -> dict[str, Any]:
    """What the report shows of a model that names pixels: some pictures that it did not learn from with the masks they have and are given."""
    from ipse.data.masks import colours
    from ipse.jobs.evaluate import graded
    from ipse.metrics.classification import pixels
    from ipse.reports import Masked

    if data.train.masks is None or not run.has_classes or (data.test is None and data.key == run.config["data_key"]):
        return {}
    model = run.classifier
    part = graded(model.classes, data)
    part = part.subset(part.spread(SHOWN))
    palette = colours(len(model.classes))
    found = []
    for index, scores, given in pixels(model, part):
        guessed = scores.argmax(1)
        pictures = part.read(index)["x"]
        for i, row in enumerate(index.tolist()):
            known = given[i] >= 0
            right = float((guessed[i] == given[i])[known].double().mean()) if known.any() else float("nan")
            truth = palette[given[i].clamp_min(0).numpy()]
            truth[~known.numpy()] = 255
            picture = pictures[i].permute(1, 2, 0).numpy()
            found.append(Masked(str(part.names[row]), picture, truth, palette[guessed[i].numpy()], right))
    colour = [f"rgb({r},{g},{b})" for r, g, b in palette.tolist()]
    return {"masked": found, "colours": list(zip(model.classes, colour, strict=True))}


def _scored(model: Classifier, samples: Samples) -> Iterator[tuple[str, bool, Tensor]]:
    """Of every picture its name, whether it has a mask, and its calibrated scores (K, S, S)."""
    from ipse.metrics.classification import pixels

    for index, scores, _ in pixels(model, samples):
        for row, one in zip(index.tolist(), scores, strict=True):
            yield str(samples.names[row]), bool(samples.y[row] >= 0), one / model.temperature


def _size(root: Path | None, name: str, samples: Samples, row: int) -> tuple[int, int]:
    """Height and width of a picture as its file has them or, where there is none, as the model sees it, in its proportions."""
    from ipse.data.decode import size_of

    for path in () if root is None else (root / name, root / "train" / name):
        if path.is_file() and (size := size_of(path)):
            return size
    aspect, side = float(samples.aspect[row]), samples.form["size"]  # type: ignore[attr-defined]
    return max(1, round(side / max(aspect, 1))), max(1, round(side * min(aspect, 1)))


def _named(scores: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The class of every pixel and how likely it is, of scores (K, S, S) at (H, W); of many rows a few at a time."""
    import torch
    from torch.nn.functional import grid_sample

    height, width = size
    x = (2 * torch.arange(width) + 1) / width - 1
    y = (2 * torch.arange(height) + 1) / height - 1
    parts = []
    for some in y.split(max(1, BAND // (width * len(scores)))):
        grid = torch.stack(torch.meshgrid(x, some, indexing="xy"), dim=-1)
        band = grid_sample(scores[None], grid[None], mode="bilinear", padding_mode="border", align_corners=False)[0]
        parts.append(band.softmax(0).max(0))
    return torch.cat([mask for _, mask in parts]), torch.cat([p for p, _ in parts])
