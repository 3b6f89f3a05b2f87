"""Losses of models that fill in what was hidden from them."""

from __future__ import annotations

import torch
from torch import Tensor

from ipse.distributed import all_mean
from ipse.losses.precision import full_precision


@full_precision
def masked_mse(prediction: Tensor, target: Tensor, mask: Tensor, normalize: bool = True) -> Tensor:
    """Reconstructs the hidden patches (masked autoencoder).

        L = mean over hidden patches of  mean over the patch of (prediction - norm(target))^2

    norm standardizes each target patch by its own mean and deviation, (x - mean) / sqrt(var + 1e-6) with the unbiased
    variance; `normalize=False` compares with the values as they are.

    `prediction`, `target`: (B, N, P), N patches of P values; `mask`: bool (B, N), True where hidden. The mean is over the
    hidden values of all processes; targets that are NaN, because nobody knows them, take no part.

    He et al., CVPR 2022, arXiv:2111.06377

    >>> import torch
    >>> target = torch.tensor([[[1.0, 3.0], [5.0, 5.0]]])
    >>> masked_mse(torch.zeros(1, 2, 2), target, torch.tensor([[True, False]]), normalize=False).item()  # (1 + 9) / 2
    5.0
    """
    if normalize:
        known = (~target.isnan()).sum(dim=-1, keepdim=True)
        centred = target - target.nanmean(dim=-1, keepdim=True)
        variance = centred.square().nansum(dim=-1, keepdim=True) / (known - 1).clamp_min(1)
        target = centred / (variance + 1e-6).sqrt()
    return masked_series_mse(prediction, target, mask[..., None])


@full_precision
def masked_series_mse(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """The squared error where values were hidden, and nowhere else.

        L = mean over the values v that are hidden and known of  (prediction_v - target_v)^2

    `prediction`, `target`: (B, ...), equal shapes; targets that are NaN are not known. `mask`: bool, broadcast to them, True
    where hidden. The gradient is exactly 0 everywhere else, and the loss is 0 if nothing is both hidden and known. The mean is
    over the values of all processes.

    >>> target = torch.tensor([[1.0, 3.0, torch.nan, 9.0]])
    >>> masked_series_mse(torch.zeros(1, 4), target, torch.tensor([[True, True, True, False]])).item()  # (1 + 9) / 2
    5.0
    """
    counted = mask & ~target.isnan()
    # where, not a product: 0 * NaN is NaN, in the gradient too.
    error = torch.where(counted, prediction - target.nan_to_num(), 0).square()
    return error.sum() / all_mean(counted.sum().to(error.dtype)).clamp_min(1e-6)
