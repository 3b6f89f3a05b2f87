"""How many directions embeddings use, from the spectrum of their Gram matrix in float64."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_CHUNK = 8192


@torch.no_grad()
def rankme(z: Tensor, eps: float = 1e-7) -> float:
    """The smooth rank of embeddings, between 1 and min(N, K): the higher, the less collapsed.

        exp( -sum_k p_k log p_k ),    p_k = s_k / sum_j s_j + eps,    s: the singular values of `z`, which is not centered

    `z`: (N, K); N should be several times K, and N and K equal between the models that are compared. 1 where all is zero, NaN
    where a value is not finite.

    Garrido et al., ICML 2023, arXiv:2210.02885

    >>> round(rankme(torch.diag(torch.tensor([2.0, 1.0, 1.0]))), 3)  # p = 1/2, 1/4, 1/4
    2.828
    """
    s = _squared_singular_values(z).sqrt()
    if not s.any():
        return 1.0
    p = s / s.sum() + eps
    return math.exp(-(p * p.log()).sum().item())


@torch.no_grad()
def spectrum(z: Tensor) -> Tensor:
    """The eigenvalues of the covariance of embeddings (N, K), as shares of the total variance: float64 (K,), descending.

    All zero where the embeddings are equal.

    >>> spectrum(torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
    tensor([0.9000, 0.1000], dtype=torch.float64)
    """
    mean = torch.stack([chunk.cpu().double().sum(dim=0) for chunk in z.split(_CHUNK)]).sum(dim=0) / len(z)
    values = _squared_singular_values(z, mean)
    values = torch.cat([values, values.new_zeros(z.shape[1] - len(values))])
    total = values.sum()
    return values / total if total != 0 else values


def effective_dimension(z: Tensor) -> float:
    """The participation ratio of the covariance's eigenvalues l, between 1 and K: how many directions share the variance.

        (sum l)^2 / sum l^2

    `z`: (N, K). 0 where the embeddings are equal.

    >>> round(effective_dimension(torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 3.0], [0.0, -3.0]])), 4)
    2.0
    """
    shares = spectrum(z)
    return 1 / shares.square().sum().item() if not (shares == 0).all() else 0.0


def alpha_req(z: Tensor, first: int = 4, last: int = 100) -> float:
    """The exponent with which the eigenvalues of the covariance decay, l_r ~ r^-alpha: near 1 is said to be best.

    Weighted least squares of log l on -log r over the ranks r = `first` .. `last` that have variance, with the weights 1 / r.
    The paper leaves range and weights open; these are those of its released code. NaN where fewer than two ranks are left.

    `z`: (N, K).

    Agrawal et al., NeurIPS 2022, arXiv:2202.05808
    """
    values = spectrum(z)
    values = values[values > 1e-12 * values.max()][first - 1 : last]
    if len(values) < 2:
        return math.nan
    ranks = torch.arange(first, first + len(values), dtype=torch.float64)
    weight = 1 / ranks
    x, y = -ranks.log(), values.log()
    x, y = x - (weight * x).sum() / weight.sum(), y - (weight * y).sum() / weight.sum()
    return ((weight * x * y).sum() / (weight * x * x).sum()).item()


def _squared_singular_values(z: Tensor, mean: Tensor | None = None) -> Tensor:
    """Those of `z` - `mean`, float64 (min(N, K),), descending, from the smaller of the two Gram matrices."""
    if len(z) < z.shape[1]:
        z = (z.cpu().double() - (0 if mean is None else mean)).T
        mean = None
    gram = torch.zeros(z.shape[1], z.shape[1], dtype=torch.float64)
    for chunk in z.split(_CHUNK):
        x = chunk.cpu().double() - (0 if mean is None else mean)
        gram += x.T @ x
    if not gram.isfinite().all():
        return torch.full((len(gram),), math.nan, dtype=torch.float64)
    values: Tensor = torch.linalg.eigvalsh(gram)  # ascending
    return values.flip(0).clamp_min(0)
