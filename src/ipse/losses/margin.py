"""Contrast that asks for more than being nearest."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.distributed import gather
from ipse.errors import UserError
from ipse.losses.contrastive import _logits, _positions
from ipse.losses.precision import full_precision


@full_precision
def additive_margin_nt_xent(
    z1: Tensor, z2: Tensor, temperature: float = 0.03, margin: float = 0.1, symmetric: bool = True
) -> Tensor:
    """NT-Xent in which an anchor's positive must win by a margin of cosine similarity.

        L = mean over anchors a of  -log( e^p / (e^p + sum over negatives k of exp(cos(a, k) / temperature)) )
        p = (cos(a, a+) - margin) / temperature

    `symmetric`: both views are anchors, and the 2B - 2 embeddings of other samples in both views are the negatives; without a
    margin that is `nt_xent`. Otherwise the anchors are `z1`, the negatives the B - 1 other rows of `z2`.

    `z1`, `z2`: embeddings (B, D) of the two views, normalized here; negatives come from all processes.

    Lepage & Dehak, Odyssey 2024, arXiv:2404.14913

    >>> z = torch.ones(3, 2)
    >>> loss = additive_margin_nt_xent(z, z, temperature=0.5, margin=0.2)
    >>> round(loss.item(), 4), round(math.log(1 + 4 * math.exp(0.2 / 0.5)), 4)
    (1.9412, 1.9412)
    """
    positive, negatives = _logits(z1, z2, temperature) if symmetric else _one_way(z1, z2, temperature)
    positive = positive - margin / temperature
    return (torch.logaddexp(positive, negatives) - positive).mean()


def _one_way(z1: Tensor, z2: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Of each local row of `z1`: the logit of its positive and the log-sum-exp of those of its negatives, (b,) each."""
    keys = gather(F.normalize(z2, dim=1))
    if len(keys) < 2:
        raise UserError("a contrastive loss needs negatives: at least 2 samples in a batch, given 1")
    logits, own = F.normalize(z1, dim=1) @ keys.T / temperature, _positions(z1)[:, None]
    return logits.gather(1, own)[:, 0], logits.scatter(1, own, -math.inf).logsumexp(dim=1)
