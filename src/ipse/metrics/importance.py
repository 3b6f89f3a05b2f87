"""What each column of a table does to the embeddings of its rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ipse import randomness


@torch.no_grad()
def column_importance(
    embed: Callable[[Tensor], Tensor],
    x: Tensor,
    columns: Sequence[int] | None = None,
    *,
    seed: int = 0,
    batch_size: int = 512,
) -> Tensor:
    """How far embeddings move when one column is shuffled among the rows, as a share of how far apart two rows are: float32 (D,).

        I_j = mean_i d(f(x_i), f(x_i with column j of row p_j(i))) / mean_{i != k} d(f(x_i), f(x_k)),    d = 1 - cosine similarity

    p_j: a random order of the rows, of `seed` and j alone.  embed: rows (B, D) to embeddings (B, K).  x: (N, D), NaN where a cell
    is missing, which is shuffled like a value.  columns: those to measure, by default all; the answer stands in their order.
    0 for a column that makes no difference, where all embeddings are equal and for fewer than two rows. Above 1 where rows as
    they come about by shuffling lie farther apart than any that there are.

    Breiman, Machine Learning 2001 (permutation importance), of embeddings instead of predictions

    >>> first_only = lambda rows: torch.stack([rows[:, 0].cos(), rows[:, 0].sin()], dim=1)
    >>> column_importance(first_only, torch.tensor([[0.0, 5.0], [3.1416, 6.0]])).tolist()[1]
    0.0
    """
    columns = range(x.shape[1]) if columns is None else columns
    moved = torch.zeros(len(columns))
    if len(x) < 2:
        return moved
    z = _unit(embed, x, batch_size)
    position = torch.arange(len(x))
    for place, column in enumerate(columns):
        order = randomness.shuffled(position, len(x), randomness.key(seed, "column", column))
        shuffled = x.clone()
        shuffled[:, column] = x[order.to(x.device), column]
        moved[place] = (z - _unit(embed, shuffled, batch_size)).square().sum(dim=1).mean() / 2
    apart = z.var(dim=0).sum()  # as the mean squared distance of two rows is twice the variance
    return moved / apart.float() if apart > 1e-9 else torch.zeros_like(moved)


def _unit(embed: Callable[[Tensor], Tensor], x: Tensor, batch_size: int) -> Tensor:
    z = torch.cat([embed(part).double().cpu() for part in x.split(batch_size)])
    return F.normalize(z.nan_to_num(), dim=1)
