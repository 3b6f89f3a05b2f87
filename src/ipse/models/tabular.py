"""Encoders of the rows of tables.

A row x (B, D) holds standardised numbers in numeric columns and the number of a category, 0 to K - 1, in categorical ones; what is
NaN, infinite or no category of the column is missing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ipse.data import Form
from ipse.errors import UserError
from ipse.models.encoder import Encoder
from ipse.models.norm import BatchNorm
from ipse.models.tokens import Block

_MOST_TOKENS = 512


class FTTransformer(Encoder):
    """A token for each column, and transformer blocks over them: (B, D) to (B, width).

    The token of a number is x w_j + b_j, that of a category a learned vector + b_j, and each column has a learned vector + b_j
    for what is missing. pool: "mean" of the tokens; "cls", a learned token that is put before them and is what the paper takes;
    "register", the mean of the others behind such a token. Memory grows with the square of the columns, of which it takes up to
    512; 10,000 would need gigabytes for each row.

    Gorishniy et al., NeurIPS 2021, arXiv:2106.11959 (width 192, 8 heads, 3 blocks)
    """

    name = "ft_transformer"
    no_weight_decay = ("weight", "missing", "bias", "cls", "categories.weight")

    def __init__(self, form: Form, width: int = 64, depth: int = 3, heads: int = 8, pool: str = "mean"):
        super().__init__()
        columns = len(form["columns"])
        if columns > _MOST_TOKENS:
            raise UserError(
                f"encoder ft_transformer takes up to {_MOST_TOKENS} columns, the table has {columns}: take table_mlp"
            )
        if width % heads:
            raise UserError(f"encoder ft_transformer cannot share a width of {width} among {heads} heads")
        if pool not in ("mean", "cls", "register"):
            raise UserError(f"encoder ft_transformer has pool 'mean', 'cls' or 'register', not {pool!r}")
        self.form, self.dim, self.depth, self.heads, self.pool = form, width, depth, heads, pool
        self.columns = _Columns(form)
        self.weight, self.missing = _vectors(self.columns.numbers, width), _vectors(self.columns.numbers, width)
        self.categories = nn.Embedding(self.columns.codes, width, _weight=_vectors(self.columns.codes, width).data)
        self.bias = _vectors(columns, width)
        self.cls = None if pool == "mean" else _vectors(1, width)
        self.layers = nn.ModuleList(Block(width, heads) for _ in range(depth))
        # Normalised, the token of a number would forget how large the number is.
        self.layers[0].norm1 = nn.Identity()
        self.norm = nn.LayerNorm(width)

    def tokens(self, x: Tensor) -> Tensor:
        numbers, known, codes = self.columns(x)
        numeric = torch.where(known[..., None], numbers[..., None] * self.weight, self.missing)
        tokens = torch.cat([numeric, self.categories(codes)], dim=1)[:, self.columns.order]
        return tokens + self.bias

    def patches(self, x: Tensor) -> Tensor:
        """What each cell holds: (B, D, P), a number followed by NaN, or 1 for its category and 0 for the column's others."""
        return self.columns.cells(x)

    def blocks(self, tokens: Tensor) -> Tensor:
        return self._run(tokens)[:, int(self.cls is not None) :]

    def dense(self, x: Tensor) -> Tensor:
        return self.blocks(self.tokens(x))

    def forward(self, x: Tensor) -> Tensor:
        return self._run(self.tokens(x))[:, 0] if self.pool == "cls" else self.dense(x).mean(dim=1)

    def options(self) -> dict[str, Any]:
        return {"width": self.dim, "depth": self.depth, "heads": self.heads, "pool": self.pool}

    def _run(self, tokens: Tensor) -> Tensor:
        if self.cls is not None:
            tokens = torch.cat([self.cls.to(tokens.dtype).expand(len(tokens), 1, -1), tokens], dim=1)
        for layer in self.layers:
            tokens = layer(tokens)
        out: Tensor = self.norm(tokens)
        return out


class TableMLP(Encoder):
    """Residual perceptrons over all columns at once: (B, D) to (B, width), for any number of columns.

    Numbers enter with 0 where they are missing and with which of them are known; categories, and what is missing of them, as
    learned vectors of `embedding` values. A block is x + W2 ReLU(W1 BN(x)), its inner width twice the outer.

    Gorishniy et al., NeurIPS 2021, arXiv:2106.11959
    """

    name = "table_mlp"

    def __init__(self, form: Form, width: int = 256, depth: int = 3, embedding: int = 8):
        super().__init__()
        self.form, self.dim, self.depth, self.embedding = form, width, depth, embedding
        self.columns = _Columns(form)
        categorical = len(form["columns"]) - self.columns.numbers
        self.categories = nn.Embedding(self.columns.codes, embedding)
        self.input = nn.Linear(2 * self.columns.numbers + embedding * categorical, width)
        self.layers = nn.ModuleList(
            nn.Sequential(BatchNorm(width), nn.Linear(width, 2 * width), nn.ReLU(inplace=True), nn.Linear(2 * width, width))
            for _ in range(depth)
        )
        self.norm = BatchNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        numbers, known, codes = self.columns(x)
        h = self.input(torch.cat([numbers, known.to(numbers.dtype), self.categories(codes).flatten(1)], dim=1))
        for layer in self.layers:
            h = h + layer(h)
        return F.relu(self.norm(h))

    def options(self) -> dict[str, Any]:
        return {"width": self.dim, "depth": self.depth, "embedding": self.embedding}


class _Columns(nn.Module):
    """Rows (B, D) to numbers, 0 where missing, which of them are known, and places in one table of all categories.

    The table has, for each categorical column in turn, a place for what is missing and one for each category.
    """

    numeric: Tensor
    categorical: Tensor
    sizes: Tensor
    starts: Tensor
    order: Tensor

    def __init__(self, form: Form):
        super().__init__()
        columns = form["columns"]
        if not columns:
            raise UserError("the table has no columns to learn from")
        numeric = [i for i, column in enumerate(columns) if column.get("categories") is None]
        categorical = [i for i, column in enumerate(columns) if column.get("categories") is not None]
        sizes = torch.tensor([len(columns[i]["categories"]) for i in categorical], dtype=torch.int64)
        self.numbers, self.codes = len(numeric), int((sizes + 1).sum())
        tables = {
            "numeric": torch.tensor(numeric, dtype=torch.int64),
            "categorical": torch.tensor(categorical, dtype=torch.int64),
            "sizes": sizes,
            "starts": (sizes + 1).cumsum(0) - (sizes + 1),
            "order": torch.tensor([*numeric, *categorical]).argsort(),
        }
        for name, table in tables.items():
            self.register_buffer(name, table, persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        numbers, categories = x[:, self.numeric], x[:, self.categorical]
        known = numbers.isfinite()
        exists = (categories >= 0) & (categories < self.sizes)
        code = torch.where(exists, categories, -1).long() + 1
        return torch.where(known, numbers, 0), known, code + self.starts

    def cells(self, x: Tensor) -> Tensor:
        """Numbers, and categories as one of so many: (B, D, P), P the most categories of a column; NaN where nothing is to be known."""
        most = max(1, int(self.sizes.max()) if len(self.sizes) else 1)
        numbers, categories = x[:, self.numeric, None], x[:, self.categorical, None]
        places = torch.arange(most, device=x.device)
        one_of = torch.where(
            categories.isfinite() & (places < self.sizes[:, None]), (categories == places).to(x.dtype), torch.nan
        )
        return torch.cat([F.pad(numbers, (0, most - 1), value=torch.nan), one_of], dim=1)[:, self.order]


def _vectors(n: int, width: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(n, width).uniform_(-(width**-0.5), width**-0.5))
