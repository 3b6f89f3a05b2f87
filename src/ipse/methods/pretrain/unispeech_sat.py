"""UniSpeech-SAT."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ipse.distributed import gather, rank
from ipse.losses.units import diversity
from ipse.losses.wav2vec import same_utterance
from ipse.methods.pretrain.hubert import Heard, HuBERT
from ipse.models import Encoder
from ipse.models.quantiser import GumbelQuantiser
from ipse.models.tokens import tokens_at
from ipse.training import Batch, Step
from ipse.transforms import InPlace, Sees


class UniSpeechSAT(HuBERT):
    """HuBERT that keeps who speaks: a middle layer tells frames of its own recording from others, some of which are mixed in.

    Mixing: with probability `mixing` a stretch of another recording, at most half as long, is laid over one, at `mixing_snr` dB.
    It is one of those that views borrow from, so that each process can do it alone, where the paper takes one of the batch; like
    every view, the sum is cut off at full scale. Units stay those of the main recording.

    Telling: at `contrast_layer`, by default the middle one, hidden frames are projected and compared with `instances` quantised
    hidden frames of the whole batch and their own. The weight of this, `contrast`, is not given in the paper. Of every recording
    as many hidden frames are taken, spread over it. The quantiser's temperature falls from 2 to 0.5.

    Chen et al., ICASSP 2022, arXiv:2110.05752
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        mixing: float = 0.2,
        mixing_snr: Sequence[float] = (-5.0, 5.0),
        contrast: float = 1.0,
        contrast_layer: int | None = None,
        instances: int = 100,
        groups: int = 2,
        entries: int = 320,
        diversity: float = 0.1,
        **others: Any,
    ):
        super().__init__(encoder, **others)
        self.sees = Sees((InPlace(mix=mixing, mix_snr=tuple(mixing_snr)),))
        self.contrast, self.contrast_layer, self.instances, self.diversity = contrast, contrast_layer, instances, diversity
        if contrast:
            self.contrast_norm = nn.LayerNorm(encoder.dim)
            self.contrast_head = nn.Linear(encoder.dim, self.width)
            self.quantiser = GumbelQuantiser(encoder.dim, groups, entries, self.width)
            self.target_head = nn.Linear(self.width, self.width)

    def loss(self, batch: Batch) -> Step:
        heard, step = self.predicted(batch)
        if self.contrast:
            contrast, unused = self.contrast_losses(heard, batch)
            step.terms |= {"contrast": contrast, "diversity": unused}
            step.loss = step.loss + self.contrast * contrast + self.diversity * unused
        return step

    def contrast_losses(self, heard: Heard, batch: Batch) -> tuple[Tensor, Tensor]:
        """How badly frames tell their own recording from others, and how few entries the quantiser uses."""
        states = heard.states[len(heard.states) // 2 if self.contrast_layer is None else self.contrast_layer]
        places = spread(heard.mask, max(1, heard.mask.shape[1] // 2))
        h = tokens_at(self.contrast_norm(states), places)
        shape = (h.shape[1], *self.quantiser.codebook.shape[:2])
        codes = self.quantiser(
            h, batch.uniform("gumbel", math.prod(shape)).view(-1, *shape), temperature=2 * 0.25 ** self.round_progress(batch)
        )
        index, own = self.drawn_instances(batch, h.shape[1])
        contrast = same_utterance(self.contrast_head(h).flatten(0, 1), self.target_head(codes.x).flatten(0, 1), index, own)
        return contrast, diversity(codes.probabilities)

    def drawn_instances(self, batch: Batch, m: int) -> tuple[Tensor, Tensor]:
        """What each of m frames of each recording is compared with, (b m, instances): of all frames of the global batch, which.

        And whether they are of the same recording.
        """
        b = len(batch.position)
        # Which recordings of all processes are drawn is told by their positions, which no process's share of the batch changes.
        order = gather(batch.position).argsort()
        u = batch.uniform("instances", m * self.instances).view(b * m, -1).double() * (len(order) * m)
        recording = order[(u / m).long()]
        own = torch.arange(b, device=order.device).repeat_interleave(m) + rank() * b
        return recording * m + u.long() % m, recording == own[:, None]


def spread(mask: Tensor, n: int) -> Tensor:
    """n of the places where mask (B, N) holds, spread evenly, some again where there are fewer: int64 (B, n).

    >>> spread(torch.tensor([[True, False, True, True], [False, True, False, False]]), 2)
    tensor([[0, 2],
            [1, 1]])
    """
    order = mask.logical_not().byte().argsort(dim=1, stable=True)
    return order.gather(1, torch.arange(n, device=mask.device) * mask.sum(dim=1, keepdim=True) // n)
