"""How good forecasts are, and what of the past they are made from."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


@torch.no_grad()
def mse(prediction: Tensor, target: Tensor) -> float:
    """The mean squared error over the known values of the target: tensors of equal shapes, NaN in the target is not known.

    >>> mse(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 4.0, torch.nan]))
    2.0
    """
    return (prediction.double() - target.double()).square().nanmean().item()


@torch.no_grad()
def mae(prediction: Tensor, target: Tensor) -> float:
    """The mean absolute error over the known values of the target: tensors of equal shapes, NaN in the target is not known.

    >>> mae(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 4.0, torch.nan]))
    1.0
    """
    return (prediction.double() - target.double()).abs().nanmean().item()


@torch.no_grad()
def mase(prediction: Tensor, target: Tensor, history: Tensor, season: int = 1) -> float:
    """The mean absolute error, in units of that of repeating the last season within the history: below 1 beats it.

        mean over series of  mean_h |prediction_h - target_h| / mean_t |history_t - history_{t - season}|

    `prediction`, `target`: (..., H); `history`: (..., T), what came before, T > season. NaN is not known. Series whose history
    never changes, or of which nothing is known, are left out; NaN if none remains.

    Hyndman and Koehler, International Journal of Forecasting 2006

    >>> mase(torch.tensor([[5.0, 5.0]]), torch.tensor([[6.0, 8.0]]), torch.tensor([[1.0, 3.0, 5.0]]))  # 2 / 2
    1.0
    """
    error = (prediction.double() - target.double()).abs().nanmean(dim=-1)
    naive = (history[..., season:].double() - history[..., :-season].double()).abs().nanmean(dim=-1)
    return torch.where(naive > 0, error / naive, torch.nan).nanmean().item()


def receptive_field(model: Callable[[Tensor], Tensor], x: Tensor, output: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """How strongly each step of the input moves the output: (T,), 1 at the strongest.

        G(t) = mean over samples of  sum over outputs o and channels c of  | d model(x)_o / d x_ct |,    divided by max_t G(t)

    `model`: a differentiable function of a batch in which samples do not depend on each other, for example a module in
    evaluation mode; `x`: (B, C, T). `output` picks what is looked at from what the model returns, by default all of it; each
    output costs one backward pass. 0 throughout if the output does not depend on the input.

    Zhang et al., 2023, arXiv:2306.12086

    >>> receptive_field(lambda x: x @ torch.tensor([1.0, 0.0, -2.0]), torch.randn(4, 1, 3))
    tensor([0.5000, 0.0000, 1.0000])
    """
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        y = model(x) if output is None else output(model(x))
        moved = torch.zeros(x.shape[-1], device=x.device)
        for each in y.reshape(len(x), -1).sum(dim=0):
            (gradient,) = torch.autograd.grad(each, x, retain_graph=True)
            moved += gradient.abs().sum(dim=1).mean(dim=0)
    return moved / moved.max().clamp_min(torch.finfo(moved.dtype).tiny)
