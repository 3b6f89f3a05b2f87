"""Contrastive losses over the windows of recordings and over the sensors of a body."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.distributed import gather
from ipse.losses.contrastive import _positions
from ipse.losses.means import mean_where
from ipse.losses.precision import full_precision


@full_precision
def candidate_contrast(
    anchor: Tensor, candidates: Tensor, label: Tensor, temperature: float = 0.1, valid: Tensor | None = None
) -> Tensor:
    """Tells the candidate that was chosen as positive from the other candidates of the same anchor.

        L = mean over the batch of  -log softmax over candidates c of (cos(anchor, c) / temperature), at the label

    `anchor`: (B, D); `candidates`: (B, C, D), for example other windows of the same recording; `label`: int64 (B,). `valid`:
    bool (B, C), which candidates there are; an anchor without any takes no part. The mean is over the anchors of all processes.

    Xu et al., ICLR 2024, arXiv:2311.00519

    >>> round(candidate_contrast(torch.eye(2), torch.ones(2, 4, 2), torch.tensor([0, 3])).item(), 4)  # log 4
    1.3863
    """
    logits = torch.einsum("bd,bcd->bc", F.normalize(anchor, dim=-1), F.normalize(candidates, dim=-1)) / temperature
    if valid is None:
        return F.cross_entropy(logits, label)
    some = valid.any(dim=1)
    logits = logits.masked_fill(~valid, -torch.inf)
    return mean_where(F.cross_entropy(logits[some], label[some], reduction="none"))


@full_precision
def instance_contrast(anchor: Tensor, positive: Tensor, temperature: float = 0.1) -> Tensor:
    """Tells the positive of an anchor from the other anchors.

        L = mean over i of  -log( e^{p_i} / (e^{p_i} + sum over j != i of exp(cos(anchor_i, anchor_j) / temperature)) )
        p_i = cos(anchor_i, positive_i) / temperature

    `anchor`, `positive`: (B, D). The other anchors come from all processes.

    Xu et al., ICLR 2024, arXiv:2311.00519

    >>> import math
    >>> round(instance_contrast(torch.eye(4), torch.eye(4), temperature=1.0).item(), 4), round(math.log(1 + 3 / math.e), 4)
    (0.7437, 0.7437)
    """
    anchor, positive = F.normalize(anchor, dim=1), F.normalize(positive, dim=1)
    own = _positions(anchor)[:, None]
    # An anchor's place among the anchors, which is its own, goes to its positive.
    logits = (anchor @ gather(anchor).T).scatter(1, own, (anchor * positive).sum(dim=1, keepdim=True))
    return F.cross_entropy(logits / temperature, own[:, 0])


@full_precision
def multi_device_contrast(
    anchor: Tensor,
    positives: Tensor,
    negatives: Tensor,
    positive_weights: Tensor | None = None,
    negative_weights: Tensor | None = None,
    temperature: float = 0.05,
) -> Tensor:
    """Tells what other sensors recorded at the same time from what they recorded at another time (ColloSSL).

        L = mean over the batch of  -log( P / (P + N) )
        P = sum over devices p of w_p exp(cos(anchor, z_p) / temperature),    N = the same over devices n

    `anchor`: (B, D); `positives`: (P, B, D), windows of P devices at the anchors' times; `negatives`: (M, B, D), windows of M
    devices at other times; weights: (P,) and (M,), not negative, 1 by default. The paper weighs a negative device by one over
    its distance from the anchor's.

    Jain et al., IMWUT 2022, arXiv:2202.00758

    >>> z = torch.tensor([[1.0, 0.0]])
    >>> round(multi_device_contrast(z, z[None], -z[None], temperature=1.0).item(), 4)  # log(1 + e^(-1 - 1))
    0.1269
    """
    positive = _weighed(anchor, positives, positive_weights, temperature)
    negative = _weighed(anchor, negatives, negative_weights, temperature)
    return (torch.cat([positive, negative]).logsumexp(dim=0) - positive.logsumexp(dim=0)).mean()


def _weighed(anchor: Tensor, others: Tensor, weights: Tensor | None, temperature: float) -> Tensor:
    """log(w_d) + cos / temperature: (devices, B)."""
    logits = F.cosine_similarity(anchor[None], others, dim=-1) / temperature
    return logits if weights is None else logits + weights.to(logits).log()[:, None]
