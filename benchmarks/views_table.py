"""Views per second of rows: ipse against SCARF's corruption in numpy, row by row."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.timing import Figures, against, beside
from ipse import randomness
from ipse.transforms import Look
from ipse.transforms.table import TablePolicy, TableViewer

CORRUPT, BANK = 0.6, 4096  # SCARF's share of the cells, and the rows they are borrowed from


def rows(n: int, columns: int) -> Tensor:
    return randomness.normal(0, torch.arange(n), columns)


def ours(x: Tensor, bank: Tensor) -> Callable[[], Any]:
    viewer = TableViewer(TablePolicy(corrupt=CORRUPT), [False] * x.shape[1], bank)
    raw, position = {"x": x}, torch.arange(len(x))
    return lambda: viewer.view(raw, Look(), 0, position)


def row_by_row(x: Tensor, bank: Tensor) -> Callable[[], Any]:
    """Cells of random columns replaced by those of random rows, as a dataset's `__getitem__` would."""
    source, others, rng = x.numpy(), bank.numpy(), np.random.default_rng(0)
    columns = source.shape[1]
    many = round(CORRUPT * columns)

    def every() -> Tensor:
        views = []
        for row in source:
            view = row.copy()
            chosen = rng.permutation(columns)[:many]
            view[chosen] = others[rng.integers(len(others), size=many), chosen]
            views.append(view)
        return torch.from_numpy(np.stack(views))

    return every


def measure(batch: int = 256, columns: int = 32, rounds: int = 5, seconds: float = 0.5) -> Figures:
    """Views per second."""
    x, bank = rows(batch, columns), rows(BANK, columns)
    contestants = {"ipse": (batch, ours(x, bank)), "numpy, row by row": (batch, row_by_row(x, bank))}
    with torch.no_grad():
        return beside(contestants, rounds, seconds)


render = against

if __name__ == "__main__":
    sys.stdout.write(render(measure()) + "\n")
