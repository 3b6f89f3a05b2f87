"""Views of rows of a table: cells replaced by those of other rows, hidden, or shaken.

Every parameter is drawn per sample from (key, position in the global batch); the arithmetic runs on the whole batch, on its
device.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ipse import randomness
from ipse.data import Raw, Samples
from ipse.transforms.policy import Policy
from ipse.transforms.sees import Look
from ipse.transforms.view import View
from ipse.transforms.viewer import Viewer


@dataclass(frozen=True)
class TablePolicy(Policy):
    """How far strong views of rows may go.

    SCARF (Bahri et al., ICLR 2022, arXiv:2106.15147) compares a row with a view of which 0.6 of the cells are corrupted, so that
    the two share 0.4 of them. Here both of a pair are corrupted: at 0.4 each, they share 0.6 * 0.6 = 0.36.
    """

    corrupt: float = 0.4  # share of the cells that are replaced by those of other rows
    mask: float = 0.0  # share of the cells that are hidden
    noise: float = 0.0  # standard deviation, on numbers only

    modality: ClassVar[str] = "table"
    limits: ClassVar[Mapping[str, tuple[float, float]]] = {"noise": (0.0, math.inf)}

    def weak(self) -> TablePolicy:
        """Only few cells of other rows."""
        return replace(self, corrupt=min(self.corrupt, 0.1), mask=0.0, noise=0.0)


class TableViewer(Viewer[TablePolicy]):
    """Views of rows (B, D), NaN where nothing is known.

    categorical: of each column, whether it holds numbers of categories. bank: (M, D), the rows whose cells are borrowed.
    """

    def __init__(self, policy: TablePolicy, categorical: Sequence[bool], bank: Tensor):
        self.policy, self.numeric, self.bank = policy, ~torch.tensor(categorical, dtype=torch.bool), bank

    def view(self, raw: Raw, look: Look, key: int, position: Tensor) -> View:
        """A small crop of a row keeps as much of it as its scale says: corrupted is 1 - (1 - corrupt) * scale."""
        if look.strength == "none":
            return View(raw["x"].clone())
        policy = self.policy_of(look)
        policy = replace(policy, corrupt=1 - (1 - policy.corrupt) * min(1.0, look.scale))
        self.bank, self.numeric = self.bank.to(position.device), self.numeric.to(position.device)
        return make_view(raw["x"], policy, self.numeric, self.bank, key, position)


def make_view(source: Tensor, policy: TablePolicy, numeric: Tensor, bank: Tensor, key: int, position: Tensor) -> View:
    """Draws one view per row.

    source: (B, D). numeric: bool (D,), the columns that noise may shake. bank: (M, D); every cell that is replaced comes from
    another of its rows, so that each column keeps its distribution. key, position: where the random numbers come from
    (`ipse.randomness`); position is int64 (B,).
    """
    x, columns = source, source.shape[1]
    if policy.corrupt:
        rows = randomness.bits(randomness.key(key, "row"), position, columns) % len(bank)
        chosen = _some_cells(policy.corrupt, columns, randomness.key(key, "corrupt"), position)
        x = torch.where(chosen, bank.gather(0, rows), x)
    if policy.noise:
        x = x + policy.noise * numeric * randomness.normal(randomness.key(key, "noise"), position, columns)
    if policy.mask:
        x = x.masked_fill(_some_cells(policy.mask, columns, randomness.key(key, "mask"), position), math.nan)
    return View(x.clone() if x is source else x)


def bank_of(samples: Samples, most: int = 4096) -> Tensor:
    """Rows (M, D) to borrow cells from: all of the samples, or `most` of them evenly spaced."""
    m = min(len(samples), most)
    return samples.read(np.arange(m) * len(samples) // m)["x"]


def _some_cells(share: float, columns: int, key: int, position: Tensor) -> Tensor:
    """A random choice (B, columns) of `share` of each row's cells; where that is no whole number, one more as often as it takes.

    >>> _some_cells(0.5, 4, 0, torch.arange(3)).sum(dim=1)
    tensor([2, 2, 2])
    """
    u = randomness.uniform(key, position, columns + 1)
    count = (share * columns + u[:, -1:]).floor()
    order = u[:, :-1].argsort(dim=1, stable=True)
    return torch.zeros_like(order, dtype=torch.bool).scatter_(1, order, torch.arange(columns, device=u.device) < count)
