"""Losses over the frames of a clip."""

from __future__ import annotations

import torch
from torch import Tensor

from ipse.losses.precision import full_precision


def palindrome(x: Tensor) -> Tensor:
    """n frames forwards and back: x_1, ..., x_n, ..., x_1; (B, n, ...) to (B, 2n - 1, ...).

    >>> palindrome(torch.tensor([[1, 2, 3]]))
    tensor([[1, 2, 3, 2, 1]])
    """
    return torch.cat([x, x[:, :-1].flip(1)], dim=1)


@full_precision
def ping_pong(g: Tensor) -> Tensor:
    """What is made of a frame on the way there should be what is made of it on the way back.

        L = mean over t < n of |g_t - g_{2n - t}|^2

    `g`: what a recurrent model made of a palindrome, (B, 2n - 1, C, H, W), gradients through both. Whatever adds up over time breaks the equality.

    Chu et al., ACM TOG 2020, arXiv:1811.09393 (the authors' code takes absolute values)

    >>> ping_pong(torch.tensor([1.0, 2.0, 4.0]).view(1, 3, 1, 1, 1))
    tensor(9.)
    """
    n = (g.shape[1] + 1) // 2
    if n < 2:
        return g.new_zeros(())
    return (g[:, : n - 1] - g[:, n:].flip(1)).square().mean()
