"""Which frames are hidden, and with which others a hidden frame is contrasted.

The random numbers are inputs, so that they can depend on the sample and the step alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def span_mask(u: Tensor, valid: Tensor, probability: float, length: int) -> Tensor:
    """Hides spans of frames: bool (B, N), True where hidden, never on padding (wav2vec 2.0, HuBERT).

    Of a clip's n valid frames the round(`probability` n / `length`) with the smallest `u`, at least one, are starts; each hides
    itself and the `length` - 1 frames behind it. Spans may overlap and are cut where the clip ends: with `probability` 0.65 and
    spans of 10, about half of a long clip is hidden.

    `u`: uniforms (B, N); `valid`: bool (B, N).

    Baevski et al., NeurIPS 2020, arXiv:2006.11477

    >>> u = torch.tensor([[0.9, 0.1, 0.8, 0.7, 0.6, 0.5]])
    >>> span_mask(u, torch.ones(1, 6).bool(), probability=0.5, length=3).int()
    tensor([[0, 1, 1, 1, 0, 0]], dtype=torch.int32)
    """
    count = (probability * valid.sum(dim=1, keepdim=True) / length + 0.5).floor().clamp_min(1)
    rank = u.masked_fill(~valid, 2.0).argsort(dim=1, stable=True).argsort(dim=1)
    started = (rank < count).cumsum(dim=1)
    return (started > F.pad(started, (length, 0))[:, : u.shape[1]]) & valid


def chosen_positions(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Where the chosen frames of each clip stand, in order: int64 (B, M), and which of them there are: bool (B, M).

    `mask`: bool (B, N). M is the largest number of chosen frames, at least 1; shorter rows go on with frames that were not
    chosen. `x[torch.arange(B)[:, None], positions]` picks the frames of x (B, N, E).

    >>> chosen_positions(torch.tensor([[False, True, True], [True, False, False]]))
    (tensor([[1, 2],
            [0, 1]]), tensor([[ True,  True],
            [ True, False]]))
    """
    count = mask.sum(dim=1)
    most = max(int(count.max()), 1)
    positions = mask.logical_not().byte().argsort(dim=1, stable=True)[:, :most]
    return positions, torch.arange(most, device=mask.device) < count[:, None]


def other_positions(u: Tensor, count: Tensor) -> Tensor:
    """Draws for each of the first `count` positions of a row K others among them, uniformly: int64 (B, M, K).

    `u`: uniforms in [0, 1), (B, M, K), M at least the largest count; `count`: int64 (B,). Where no other is left it is 0.

    >>> other_positions(torch.tensor([[[0.0, 0.99], [0.0, 0.99], [0.0, 0.99]]]), torch.tensor([3]))
    tensor([[[1, 2],
             [0, 2],
             [0, 1]]])
    """
    own = torch.arange(u.shape[1], device=u.device)[:, None]
    others = (count[:, None, None] - 1).clamp_min(0)
    # A float32 just below 1 times the number of others may round up to it.
    drawn = (u * others).long().minimum((others - 1).clamp_min(0))
    return drawn + ((drawn >= own) & (others > 0))


def other_frames(u: Tensor, valid: Tensor) -> Tensor:
    """Draws for each valid frame of a clip K other valid ones, uniformly: int64 (B, N, K).

    `u`: uniforms in [0, 1), (B, N, K); `valid`: bool (B, N), in any place. What is drawn for other frames has no meaning.

    >>> other_frames(torch.tensor([[[0.5], [0.5], [0.5]]]), torch.tensor([[True, False, True]]))[0, [0, 2], 0]
    tensor([2, 0])
    """
    order = valid.logical_not().byte().argsort(dim=1, stable=True)
    rank = order.argsort(dim=1)
    drawn = other_positions(u, valid.sum(dim=1))  # by rank, for the frame of each rank
    drawn = order.gather(1, drawn.flatten(1)).view_as(drawn)
    return drawn.gather(1, rank[..., None].expand_as(drawn))
