"""Terms that make a model forget, and weights for them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.errors import UserError
from ipse.losses.distillation import softened_kl
from ipse.losses.precision import full_precision


@full_precision
def logit_norm(scores: Tensor, eps: float = 1e-6) -> Tensor:
    """The length of each sample's scores, (B, K) to (B,); small ones mean that every class is as likely as any other.

        L_i = sqrt(|m_i|^2 + eps^2),   and |m_i| <= e bounds each probability by  exp(-2 e) / K <= p <= exp(2 e) / K

    Not squared, so that the gradient is of length 1 however near the origin; eps keeps it defined at the origin itself.

    Jung et al., 2025, arXiv:2507.07754

    >>> logit_norm(torch.tensor([[3.0, 4.0]]))
    tensor([5.])
    """
    return (scores.square().sum(-1) + eps**2).sqrt()


@torch.no_grad()
@full_precision
def easy_first(losses: Tensor, temperature: float = 1.0) -> Tensor:
    """Weights of samples to forget, (B,), with the mean 1: the smaller its loss, the better a sample is remembered, the more it weighs.

        w_i = B exp(-e_i / temperature) / sum_j exp(-e_j / temperature)

    `losses`: e (B,), of the true labels whatever the forgetting term is. An infinite temperature weighs all alike.

    Li et al., 2025, arXiv:2507.22499

    >>> import math
    >>> easy_first(torch.tensor([0.0, math.log(2.0)]))
    tensor([1.3333, 0.6667])
    """
    if not temperature > 0:
        raise UserError(f"the temperature of the weights must be more than 0, not {temperature}")
    return len(losses) * (-losses / temperature).softmax(0)


@full_precision
def likelihood_gap(kept: Tensor, kept_again: Tensor, forgotten: Tensor, forgotten_again: Tensor) -> Tensor:
    """Keeps features likely under one autoencoder and makes others unlikely under another.

        L = sum over kept i of exp(R_i / (R_i + 1)) - sum over forgotten i of exp(R_i / (R_i + 1)),   R = |again - e|^2

    `kept`, `forgotten`: features (B, d), (M, d); `..._again`: what their autoencoders make of them. A term lies between 1 and e,
    so that there is an end to being pushed away. Sums, not means.

    Shen et al., ICLR 2024, arXiv:2404.00506

    >>> z = torch.zeros(3, 2)
    >>> likelihood_gap(z, z, z[:1], z[:1]).item()
    2.0
    """

    def unlikely(e: Tensor, again: Tensor) -> Tensor:
        r = (again - e).square().sum(1)
        return (r / (r + 1)).exp().sum()

    return unlikely(kept, kept_again) - unlikely(forgotten, forgotten_again)


@full_precision
def feature_alignment(
    kept: Tensor, kept_before: Tensor, forgotten: Tensor, forgotten_before: Tensor, temperature: float = 20.0
) -> Tensor:
    """Holds features to where they were before and drives others from there.

        L = sum over kept i of log( exp(d_i) / sum over forgotten j of exp(d_j / temperature) ),   d = 1 - cos(e, e before)

    `kept`, `kept_before`: (B, d); `forgotten`, `forgotten_before`: (M, d). The inner sum is over all forgotten of the batch.

    Shen et al., ICLR 2024, arXiv:2404.00506

    >>> import math
    >>> z = torch.ones(3, 2)
    >>> round(feature_alignment(z, z, z[:2], z[:2]).item(), 4), round(-3 * math.log(2), 4)
    (-2.0794, -2.0794)
    """
    near = 1 - F.cosine_similarity(kept, kept_before)
    far = 1 - F.cosine_similarity(forgotten, forgotten_before)
    return (near - (far / temperature).logsumexp(0)).sum()


@full_precision
def attention_difference(x: Sequence[Tensor], y: Sequence[Tensor]) -> Tensor:
    """How differently two networks attend to the places of their samples, summed over layers.

        L = sum over layers of  mean( (att(x) - att(y))^2 ),   att(A) = normalised( mean over channels of A^2 )

    `x`, `y`: activations (B, C, ...) of the same layers; of (B, D), which has no places, the squares themselves are compared. The
    scale of the activations does not matter.

    Zagoruyko & Komodakis, ICLR 2017, arXiv:1612.03928

    >>> round(attention_difference([torch.eye(2)], [torch.eye(2).flip(0)]).item(), 4)
    1.0
    """

    def attention(a: Tensor) -> Tensor:
        return F.normalize((a.square().mean(1) if a.ndim > 2 else a.square()).flatten(1))

    return sum(((attention(a) - attention(b)).square().mean() for a, b in zip(x, y, strict=True)), x[0].new_zeros(()))


def divergence(teacher: Tensor, student: Tensor, temperature: float = 1.0) -> Tensor:
    """KL(teacher || student) of scores (B, K), a mean over the batch; the teacher gets no gradient.

    temperature divides both; unlike in `softened_kl` the result is not multiplied by its square.

    >>> import math
    >>> round(divergence(torch.tensor([[math.log(3.0), 0.0]]), torch.zeros(1, 2)).item(), 4)  # ln 2 - H(3/4, 1/4)
    0.1308
    """
    return softened_kl(student, teacher, temperature) / temperature**2
