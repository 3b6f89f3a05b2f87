"""Losses between two halves of one observation whose noise is independent: predict from the first, score on the second."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from ipse.losses.precision import full_precision


@full_precision
def speckle_likelihood(log_reflectivity: Tensor, part: Tensor) -> Tensor:
    """How unlikely one part of a complex radar image is under a reflectivity R, predicted from the other part.

        L = mean over pixels of  1/2 log R + b^2 / R        (1/2 log pi is left out)

    `log_reflectivity`: log R; `part`: b, the real or the imaginary part of the single-look amplitude; equal shapes. Valid for fully developed
    speckle, b ~ N(0, R/2), whose parts are independent, correlated between pixels or not. Least for R = 2 E[b^2].

    Dalsasso, Denis & Tupin, IEEE TGRS 2021, arXiv:2110.13148

    >>> import torch
    >>> speckle_likelihood(torch.zeros(2), torch.tensor([1.0, 2.0]))
    tensor(2.5000)
    """
    return (log_reflectivity / 2 + part.square() * (-log_reflectivity).exp()).mean()


@full_precision
def recorrupted(prediction: Tensor, second: Tensor) -> Tensor:
    """The squared error against the second half of a split, which is that against the clean signal and a constant.

        L = mean (f(y1) - y2)^2,    E[L] = E mean (f(y1) - x)^2 + E mean (y2 - x)^2

    `prediction`: f(y1); `second`: y2; (B, C, H, W). Valid for halves whose errors are uncorrelated given y1, as `ipse.transforms.recorrupt` makes
    them of Gaussian, Poisson, Gamma, binomial and log-Rayleigh noise of a known level, independent between pixels.

    Monroy, Bacca & Tachella, CVPR 2025, arXiv:2412.04648

    >>> import torch
    >>> recorrupted(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 4.0]))
    tensor(2.5000)
    """
    return (prediction - second).square().mean()


@full_precision
def recorrupted_likelihood(
    prediction: Tensor, second: Tensor, family: Literal["gaussian", "poisson", "gamma", "binomial"], floor: float = 1e-3
) -> Tensor:
    """How unlikely the second half of a split is under the prediction from the first, per unit of what the noise level is.

        Gaussian: (y2 - f)^2 / 2        Poisson: f - y2 log f        Gamma: y2 / f + log f
        Binomial: -y2 log f - (1 - y2) log (1 - f)

    These are the negative log-likelihoods up to a constant and the factors alpha / sigma^2, alpha / gain, alpha looks and the
    trials of y2. `prediction`: f(y1), raised to `floor` where it must be positive, and lowered to 1 - `floor` where it must be
    below 1; `second`: y2; (B, C, H, W). Valid for the noise that it is called after.

    Monroy, Bacca & Tachella, CVPR 2025, arXiv:2412.04648

    >>> import torch
    >>> recorrupted_likelihood(torch.ones(2), torch.tensor([1.0, 2.0]), "gamma")
    tensor(1.5000)
    """
    if family == "gaussian":
        return (second - prediction).square().mean() / 2
    f = prediction.clamp_min(floor)
    if family == "binomial":
        f = f.clamp_max(1 - floor)
        return -(second * f.log() + (1 - second) * (1 - f).log()).mean()
    return (f - second * f.log() if family == "poisson" else second / f + f.log()).mean()
