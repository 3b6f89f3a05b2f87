"""Contrast of frames with sampled frames, as in wav2vec 2.0 and its descendants.

The positions of the negatives are an input: `ipse.models.spans` draws them.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.distributed import gather
from ipse.losses.means import mean_where
from ipse.losses.precision import full_precision


@full_precision
def sampled_info_nce(
    anchors: Tensor,
    targets: Tensor,
    negatives: Tensor,
    temperature: float = 0.1,
    same_cluster: Tensor | None = None,
    scale: float = 0.3,
    valid: Tensor | None = None,
) -> Tensor:
    """Finds the quantised target of each hidden frame among those of other hidden frames of the utterance (wav2vec 2.0).

        L = mean over t of  -log( e^(cos(a_t, q_t) / temperature) / (the same + sum over negatives q of e^(s cos(a_t, q) / temperature)) )

    s = 1, or `scale` for a negative of the same cluster as its positive (CCC-wav2vec 2.0), which weakens it where its cosine
    is positive. A negative equal to the positive counts as no negative.

    `anchors`, `targets`: (B, M, E), normalized here; `negatives`: int64 (B, M, K), rows of `targets` of the same utterance;
    `same_cluster`: bool (B, M, K); `valid`: bool (B, M), which anchors count, all if None. The mean is over the anchors of
    all processes.

    Baevski et al., NeurIPS 2020, arXiv:2006.11477; Lodagala, Ghosh & Umesh, SLT 2022, arXiv:2210.02592

    >>> x = torch.eye(3)[None]
    >>> loss = sampled_info_nce(x, x, torch.tensor([[[1, 2], [0, 2], [0, 1]]]), temperature=1.0)
    >>> round(loss.item(), 4), round(math.log(1 + 2 / math.e), 4)
    (0.5514, 0.5514)
    """
    similarity = F.normalize(anchors, dim=-1) @ F.normalize(targets, dim=-1).mT
    others = similarity.gather(2, negatives)
    if same_cluster is not None:
        others = torch.where(same_cluster, scale * others, others)
    others = others.masked_fill(_equal(targets).gather(2, negatives), -math.inf)
    return mean_where(_surprise(similarity.diagonal(dim1=1, dim2=2), others, temperature), valid)


@full_precision
def frame_contrast(y1: Tensor, y2: Tensor, valid: Tensor, negatives: Tensor, temperature: float = 0.1) -> Tensor:
    """Finds a frame in the other view of an utterance, against other frames of its own view (ContentVec).

        L = mean over both views v and frames t of
            -log( exp(cos(y_t, y'_t) / temperature) / (the same + sum over negatives n of exp(cos(y_t, y_n) / temperature)) )

    y is view v, y' the other one. A frame is no negative of itself.

    `y1`, `y2`: (B, N, E), normalized here; `valid`: bool (B, N), which frames are anchors; `negatives`: int64 (B, N, K),
    frames of the same utterance. The mean is over the anchors of all processes.

    Qian et al., ICML 2022, arXiv:2204.09224

    >>> y = torch.eye(2)[None]
    >>> loss = frame_contrast(y, y, torch.ones(1, 2).bool(), torch.tensor([[[1], [0]]]), temperature=1.0)
    >>> round(loss.item(), 4), round(math.log(1 + 1 / math.e), 4)
    (0.3133, 0.3133)
    """
    y = F.normalize(torch.stack([y1, y2]), dim=-1)
    negatives = negatives.expand(2, *negatives.shape)
    itself = negatives == torch.arange(y.shape[2], device=y.device)[:, None]
    others = (y @ y.mT).gather(3, negatives).masked_fill(itself, -math.inf)
    positive = (y[0] * y[1]).sum(dim=-1).expand(2, -1, -1)
    return mean_where(_surprise(positive, others, temperature), valid.expand(2, -1, -1))


@full_precision
def same_utterance(anchors: Tensor, targets: Tensor, index: Tensor, own: Tensor, temperature: float = 0.1) -> Tensor:
    """Tells frames of the anchor's own utterance from those of others (UniSpeech-SAT's utterance-wise contrast).

        L = mean over anchors a and their instances y of  -z log sigmoid(u) - (1 - z) log sigmoid(-u),    u = cos(a, y) / temperature

    The instances of an anchor are its own target and K sampled ones; z = 1 for those of its own utterance.

    `anchors`, `targets`: (A, E), one of each for every frame, as many on all processes, normalized here; `index`: int64
    (A, K), rows of the targets of all processes; `own`: bool (A, K), which of them come from the anchor's utterance.

    Chen et al., ICASSP 2022, arXiv:2110.05752

    >>> u = same_utterance(torch.eye(4)[:2], torch.eye(4)[2:], torch.tensor([[0], [0]]), torch.tensor([[True], [False]]))
    >>> round(u.item(), 4), round(math.log(2), 4)  # all cosines 0
    (0.6931, 0.6931)
    """
    anchors, targets = F.normalize(anchors, dim=-1), F.normalize(targets, dim=-1)
    first = (anchors * targets).sum(dim=-1, keepdim=True)
    logits = torch.cat([first, (anchors @ gather(targets).T).gather(1, index)], dim=1) / temperature
    labels = torch.cat([torch.ones_like(own[:, :1]), own], dim=1).to(logits.dtype)
    return F.binary_cross_entropy_with_logits(logits, labels)


def _surprise(positive: Tensor, negatives: Tensor, temperature: float) -> Tensor:
    """The negative log-probability of the positive (...) among itself and its negatives (..., K): (...)."""
    positive = positive / temperature
    return torch.cat([positive[..., None], negatives / temperature], dim=-1).logsumexp(dim=-1) - positive


def _equal(x: Tensor) -> Tensor:
    """Which rows of (B, M, E) are the same, bit by bit: bool (B, M, M)."""
    number: Tensor = x.detach().flatten(0, 1).unique(dim=0, return_inverse=True)[1].view(x.shape[:2])
    return number[:, :, None] == number[:, None]
