"""Losses that prevent collapse by whitening the embeddings of a batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.distributed import gather
from ipse.errors import UserError
from ipse.losses.precision import full_precision


@full_precision
def whiten(h: Tensor, eps: float = 0.0) -> Tensor:
    """Centers embeddings and makes their sample covariance the identity, by Cholesky decomposition.

        z = L^-1 (h - mean),    L L^T = (1 - eps) cov(h) + eps I

    `h`: (..., n, K) with n > K; leading dimensions are whitened separately. Gradients flow through the mean, the covariance
    and L. The decomposition is done in float64 where the device has it. Where the covariance is singular the result is NaN; a
    small `eps` helps.

    >>> z = whiten(torch.tensor([[2.0, 0.0], [0.0, 2.0], [-2.0, 0.0], [0.0, -2.0]]))
    >>> z.T.cov().round(decimals=4).abs()
    tensor([[1., 0.],
            [0., 1.]])
    """
    x = h if h.device.type == "mps" else h.double()
    x = x - x.mean(dim=-2, keepdim=True)
    covariance = x.mT @ x / (x.shape[-2] - 1)
    covariance = (1 - eps) * covariance + eps * torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    factor, failed = torch.linalg.cholesky_ex(covariance)
    # NaN, not an exception: the guard that watches for a non-finite loss then rolls the run back.
    factor = factor.masked_fill((failed != 0)[..., None, None], math.nan)
    z: Tensor = torch.linalg.solve_triangular(factor, x.mT, upper=False).mT
    return z.to(h.dtype)


@full_precision
def w_mse(
    views: Sequence[Tensor], size: int, eps: float = 0.0, permutation: Tensor | None = None, normalize: bool = True
) -> Tensor:
    """Brings the views of a sample together after whitening, which keeps the batch spread out.

        L = mean over pairs of views (v, w) and samples of  || nrm(z_v) - nrm(z_w) ||^2  =  2 - 2 cos(z_v, z_w)

    z_v whitens each view separately in sub-batches of `size` samples (the paper's rule: at least 2 K), which hold the same
    samples in every view. A batch that is no multiple of `size` is cut into as many parts as it holds sub-batches, of sizes
    that differ by one at most.

    `views`: two or more embeddings (B, K), gathered from all processes. `permutation`: the order (global B,) in which samples
    are dealt to sub-batches, equal on all processes; without it, the order of the batch. `normalize=False` compares the
    whitened embeddings themselves, by the mean squared difference. The paper's `w_iter` is the mean of this loss over several
    permutations.

    Raises UserError if `size` exceeds the batch or not the width K.

    Ermolov et al., ICML 2021, arXiv:2007.06346

    >>> h = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    >>> round(w_mse([h, 5 * h + 1], size=8).item(), 4)  # whitening forgets scale and shift
    0.0
    """
    h = torch.stack([gather(view) for view in views])
    batch, width = h.shape[1:]
    if size > batch:
        raise UserError(
            f"w-mse whitens {size} samples at a time but the batch holds {batch}: lower the size or raise the batch size"
        )
    if size <= width:
        raise UserError(
            f"w-mse whitens {size} samples at a time in {width} dimensions: the size must exceed the width, better by 2x"
        )
    order = torch.arange(batch) if permutation is None else permutation.cpu()
    z = torch.cat([whiten(h[:, part.to(h.device)], eps) for part in order.tensor_split(batch // size)], dim=1)
    if normalize:
        z = F.normalize(z, dim=-1)
    differences = torch.stack([z[i] - z[j] for i, j in combinations(range(len(z)), 2)]).square()
    return differences.sum(dim=-1).mean() if normalize else differences.mean()
