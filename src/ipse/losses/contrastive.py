"""Losses that tell the other view of the same sample from all other samples.

SimCLR's and the decoupled loss differ in one term. Of an anchor, let p be the similarity to its positive, divided by the
temperature, and N the log-sum-exp of those to its 2B - 2 negatives, both views of all other samples:

    NT-Xent = log(e^p + e^N) - p        decoupled = N - p        coupling q = e^N / (e^p + e^N)

and so the gradient of NT-Xent is q times that of the decoupled loss.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.distributed import gather, rank
from ipse.errors import UserError
from ipse.losses.precision import full_precision


@full_precision
def nt_xent(z1: Tensor, z2: Tensor, temperature: float = 0.1) -> Tensor:
    """Finds the other view of a sample among both views of all samples (SimCLR's normalized, temperature-scaled cross-entropy).

        L = mean over anchors a of  -log( exp(cos(a, a+) / temperature) / sum over k != a of exp(cos(a, k) / temperature) )

    `z1`, `z2`: embeddings (B, D) of the two views, normalized here. Anchors are the local samples, negatives come from all
    processes.

    Chen et al., ICML 2020, arXiv:2002.05709

    When all embeddings are equal, an anchor picks one of 2B - 1 at random:

    >>> z = torch.ones(3, 2)
    >>> round(nt_xent(z, z).item(), 4), round(math.log(5), 4)
    (1.6094, 1.6094)
    """
    positive, negatives = _logits(z1, z2, temperature)
    return (torch.logaddexp(positive, negatives) - positive).mean()


@full_precision
def decoupled(z1: Tensor, z2: Tensor, temperature: float = 0.1, sigma: float | None = None) -> Tensor:
    """NT-Xent without the positive in its denominator, so that easy positives and small batches do not shrink the gradient.

        L = mean over anchors a of  -w_a cos(a, a+) / temperature + log sum over negatives k of exp(cos(a, k) / temperature)

    w = 1, or, with a `sigma` (the paper's DCLW uses 0.5), w_i = 2 - exp(cos_i / sigma) / mean_j exp(cos_j / sigma), which
    weighs hard positives up and averages to 1 over the batch. The weights are detached. The loss may be negative.

    `z1`, `z2`: embeddings (B, D) of the two views, normalized here. The 2B - 2 negatives of an anchor come from all
    processes.

    Yeh et al., ECCV 2022, arXiv:2110.06848

    >>> z = torch.ones(3, 2)
    >>> round(decoupled(z, z).item(), 4), round(math.log(4), 4)
    (1.3863, 1.3863)
    """
    positive, negatives = _logits(z1, z2, temperature)
    weight = 1.0 if sigma is None else _hardness(positive.detach() * (temperature / sigma))
    return (negatives - weight * positive).mean()


@torch.no_grad()
@full_precision
def coupling(z1: Tensor, z2: Tensor, temperature: float = 0.1) -> Tensor:
    """The factor q in [0, 1] by which NT-Xent's positive shrinks the gradient of each anchor: (2B,), first the anchors of `z1`.

        q = 1 - exp(p) / (exp(p) + sum over negatives n of exp(n)),   p, n: cosine similarities / temperature

    Yeh et al., ECCV 2022, arXiv:2110.06848

    >>> coupling(torch.ones(3, 2), torch.ones(3, 2))
    tensor([0.8000, 0.8000, 0.8000, 0.8000, 0.8000, 0.8000])
    """
    positive, negatives = _logits(z1, z2, temperature)
    return torch.sigmoid(negatives - positive)


@full_precision
def info_nce(q: Tensor, k: Tensor, temperature: float = 0.1) -> Tensor:
    """Finds the key of each query among the keys of the batch.

        L = mean over i of  -log( exp(cos(q_i, k_i) / temperature) / sum over j of exp(cos(q_i, k_j) / temperature) )

    `q`, `k`: (B, D), normalized here; row i of `k` is the positive of row i of `q`. Keys are gathered from all processes.

    van den Oord et al., 2018, arXiv:1807.03748

    >>> round(info_nce(torch.eye(4), torch.eye(4), temperature=1.0).item(), 4), round(math.log(1 + 3 / math.e), 4)
    (0.7437, 0.7437)
    """
    keys = gather(F.normalize(k, dim=1))
    logits = F.normalize(q, dim=1) @ keys.T / temperature
    return F.cross_entropy(logits, _positions(q))


def moco_contrast(q: Tensor, k: Tensor, temperature: float = 0.2) -> Tensor:
    """MoCo v3's contrast of a predicted query with the momentum encoder's keys, scaled to be comparable between temperatures.

        L = 2 temperature InfoNCE(q, stop_grad(k))

    `q`, `k`: (B, D). The method adds the two directions, L(q1, k2) + L(q2, k1).

    Chen, Xie, He, ICCV 2021, arXiv:2104.02057

    >>> round(moco_contrast(torch.eye(4), torch.eye(4), temperature=1.0).item(), 4)
    1.4873
    """
    return 2 * temperature * info_nce(q, k.detach(), temperature)


def _logits(z1: Tensor, z2: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Of each local anchor: the logit of its positive and the log-sum-exp of those of its negatives, (2b,) each."""
    z1, z2 = F.normalize(z1, dim=1), F.normalize(z2, dim=1)
    keys = torch.cat([gather(z1), gather(z2)])
    batch = len(keys) // 2
    if batch < 2:
        raise UserError("a contrastive loss needs negatives: at least 2 samples in a batch, given 1")
    own = torch.cat([_positions(z1), _positions(z2) + batch])
    other = (own + batch) % (2 * batch)
    logits = torch.cat([z1, z2]) @ keys.T / temperature
    positive = logits.gather(1, other[:, None])[:, 0]
    negatives = logits.scatter(1, torch.stack([own, other], dim=1), -math.inf).logsumexp(dim=1)
    return positive, negatives


def _positions(x: Tensor) -> Tensor:
    """Where the local samples stand in the global batch: int64 (b,)."""
    return torch.arange(len(x), device=x.device) + rank() * len(x)


def _hardness(scaled: Tensor) -> Tensor:
    every = gather(scaled)
    # In logarithms, because exp(cos / sigma) overflows for a small sigma.
    return 2 - torch.exp(scaled - every.logsumexp(dim=0) + math.log(len(every)))
