"""Losses that restore signals without clean ones; each says for which noise it is valid."""

from __future__ import annotations

from torch import Tensor

from ipse.losses.precision import full_precision


@full_precision
def self_regression(prediction: Tensor, target: Tensor, tv: float = 0.0) -> Tensor:
    """Repeats what was shown, and smoothly where a weight `tv` asks for it.

        L = mean |prediction - target| + tv TV(prediction)

    `prediction`, `target`: (B, C, H, W). Valid for no corruption by itself: NoiSER trains on noise whose brightness and contrast are
    those wished for, and a normalization in its net carries them over to photos in too little or too much light.

    Zhang et al., 2022, arXiv:2211.04700

    >>> import torch
    >>> self_regression(torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), -0.5))
    tensor(0.5000)
    """
    loss = (prediction - target).abs().mean()
    return loss + tv * total_variation(prediction) if tv else loss


@full_precision
def total_variation(x: Tensor) -> Tensor:
    """The mean squared difference of neighbours, down plus across.

        TV = mean (x[i+1, j] - x[i, j])^2 + mean (x[i, j+1] - x[i, j])^2

    `x`: (B, C, H, W); 0 along a side of one pixel.

    Rudin, Osher & Fatemi, Physica D 1992, with squares, as nets are usually kept smooth

    >>> import torch
    >>> total_variation(torch.tensor([[[[0.0, 2.0], [0.0, 2.0]]]]))
    tensor(4.)
    """
    return sum((d.square().mean() for d in (x.diff(dim=-2), x.diff(dim=-1)) if d.numel()), x.new_zeros(()))
