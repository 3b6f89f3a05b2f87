"""Losses of models that fill in what was hidden from them."""

from __future__ import annotations

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
    hidden patches of all processes.

    He et al., CVPR 2022, arXiv:2111.06377

    >>> import torch
    >>> target = torch.tensor([[[1.0, 3.0], [5.0, 5.0]]])
    >>> masked_mse(torch.zeros(1, 2, 2), target, torch.tensor([[True, False]]), normalize=False).item()  # (1 + 9) / 2
    5.0
    """
    if normalize:
        variance, mean = target.var(dim=-1, keepdim=True), target.mean(dim=-1, keepdim=True)
        target = (target - mean) / (variance + 1e-6).sqrt()
    error = (prediction - target).square().mean(dim=-1)
    hidden = mask.to(error.dtype)
    return (error * hidden).sum() / all_mean(hidden.sum()).clamp_min(1e-6)
