"""UniSpeech-SAT."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ipse.data import Samples
from ipse.distributed import gather, rank
from ipse.losses.units import diversity
from ipse.losses.wav2vec import same_utterance
from ipse.methods.pretrain.hubert import Heard, HuBERT
from ipse.models import Encoder
from ipse.models.quantiser import GumbelQuantiser
from ipse.models.speech import mean_of
from ipse.training import Batch, Step


class UniSpeechSAT(HuBERT):
    """HuBERT that keeps who speaks: a middle layer tells frames of its own recording from others, some of which are mixed in.

    Mixing: with probability `mixing` a stretch of another recording, at most half as long, is laid over one, at `mixing_snr` dB.
    It comes from a bank of `bank` recordings spread over the data, so that each process can do it alone, where the paper takes
    one of the batch. Units stay those of the main recording.

    Telling: at `contrast_layer`, by default the middle one, hidden frames are projected and compared with `instances` quantised
    hidden frames of the whole batch and their own. The weight of this, `contrast`, is not given in the paper. Of every recording
    as many hidden frames are taken, spread over it. The quantiser's temperature falls from 2 to 0.5.

    Chen et al., ICASSP 2022, arXiv:2110.05752
    """

    bank: Tensor
    bank_length: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        clusters: Sequence[int] = (100, 500),
        layer: int | None = None,
        masked: float = 0.8,
        span: int = 10,
        penalty: float = 10.0,
        width: int = 256,
        mixing: float = 0.2,
        mixing_snr: Sequence[float] = (-5.0, 5.0),
        bank: int = 256,
        contrast: float = 1.0,
        contrast_layer: int | None = None,
        instances: int = 100,
        groups: int = 2,
        entries: int = 320,
        diversity: float = 0.1,
    ):
        super().__init__(encoder, clusters=clusters, layer=layer, masked=masked, span=span, penalty=penalty, width=width)
        self.mixing, self.mixing_snr, self.bank_size = mixing, tuple(mixing_snr), bank
        self.contrast, self.contrast_layer, self.instances, self.diversity = contrast, contrast_layer, instances, diversity
        if contrast:
            self.contrast_norm = nn.LayerNorm(encoder.dim)
            self.contrast_head = nn.Linear(encoder.dim, width)
            self.quantiser = GumbelQuantiser(encoder.dim, groups, entries, width)
            self.target_head = nn.Linear(width, width)

    def prepare(self, samples: Samples) -> None:
        super().prepare(samples)
        raw = samples.read(torch.linspace(0, len(samples) - 1, min(self.bank_size, len(samples))).round().long())
        self.register_buffer("bank", raw["x"], persistent=False)
        self.register_buffer("bank_length", raw["length"], persistent=False)

    def mixed(self, x: Tensor, u: Tensor) -> Tensor:
        """The recordings x (B, T), some with a stretch of another one laid over, by the uniforms u (B, 6)."""
        length = (~x.isnan()).sum(dim=1)
        clip = (u[:, 1].double() * len(self.bank)).long()
        other, reach = self.bank[clip].float() / 32768, self.bank_length[clip]
        n = (u[:, 2].double() * (length // 2 + 1)).long().minimum(reach)
        first, to = ((u[:, i].double() * (whole - n + 1)).long() for i, whole in ((3, reach), (4, length)))
        low, high = self.mixing_snr
        power = x.nan_to_num().square().sum(dim=1) / length.clamp_min(1)
        other_power = other.square().sum(dim=1) / reach.clamp_min(1)
        ratio = power / (other_power * 10 ** ((low + (high - low) * u[:, 5]) / 10)).clamp_min(1e-12)
        place = torch.arange(x.shape[1], device=x.device)
        heard = (place >= to[:, None]) & (place < (to + n)[:, None]) & (u[:, :1] < self.mixing) & (other_power > 0)[:, None]
        stretch = other.gather(1, (place + (first - to)[:, None]).clamp(0, other.shape[1] - 1))
        return x + ratio.sqrt()[:, None] * stretch * heard

    def loss(self, batch: Batch) -> Step:
        (x,) = batch
        heard = self.heard(self.mixed(x, batch.uniform("mixing", 6)), batch.uniform("mask", self.units.shape[1]))
        units = self.unit_loss(heard.states[-1], heard, self.labels(batch))
        terms = {"units": units, "features": heard.penalty}
        loss = units + self.penalty * heard.penalty
        if self.contrast:
            terms["contrast"], terms["diversity"] = self.contrast_losses(heard, batch)
            loss = loss + self.contrast * terms["contrast"] + self.diversity * terms["diversity"]
        pooled = mean_of(heard.states[-1], heard.valid)
        return Step(loss, z=(pooled,), h=(pooled,), terms=terms)

    def contrast_losses(self, heard: Heard, batch: Batch) -> tuple[Tensor, Tensor]:
        """How badly frames tell their own recording from others, and how few entries the quantiser uses."""
        b, n = heard.mask.shape
        layer = len(heard.states) // 2 if self.contrast_layer is None else self.contrast_layer
        places = spread(heard.mask, max(1, n // 2))
        h = self.contrast_norm(heard.states[layer]).gather(1, places[..., None].expand(-1, -1, heard.states[layer].shape[2]))
        m = places.shape[1]
        shape = (m, *self.quantiser.codebook.shape[:2])
        noise = batch.uniform("gumbel", shape[0] * shape[1] * shape[2]).view(b, *shape)
        codes = self.quantiser(h, noise, temperature=2 * 0.25 ** (batch.progress * self.rounds % 1))
        # Which recordings of all processes are drawn is told by their positions, which no process's share of the batch changes.
        order = gather(batch.position).argsort()
        u = batch.uniform("instances", m * self.instances).view(b * m, -1).double() * (len(order) * m)
        drawn = order[(u / m).long()]
        index, row = drawn * m + u.long() % m, torch.arange(b, device=drawn.device) + rank() * b
        own = drawn == row.repeat_interleave(m)[:, None]
        contrast = same_utterance(self.contrast_head(h).flatten(0, 1), self.target_head(codes.x).flatten(0, 1), index, own)
        return contrast, diversity(codes.probabilities)


def spread(mask: Tensor, n: int) -> Tensor:
    """n of the places where mask (B, N) holds, spread evenly, some again where there are fewer: int64 (B, n).

    >>> spread(torch.tensor([[True, False, True, True], [False, True, False, False]]), 2)
    tensor([[0, 2],
            [1, 1]])
    """
    order = mask.logical_not().byte().argsort(dim=1, stable=True)
    return order.gather(1, torch.arange(n, device=mask.device) * mask.sum(dim=1, keepdim=True) // n)
