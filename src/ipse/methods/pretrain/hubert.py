"""HuBERT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ipse import randomness
from ipse.data import Samples
from ipse.errors import UserError
from ipse.losses.means import mean_where
from ipse.losses.units import codeword_cross_entropy
from ipse.models import Encoder
from ipse.models.kmeans import assign, kmeans
from ipse.models.mfcc import MFCC
from ipse.models.norm import layer_norm
from ipse.models.spans import span_mask
from ipse.models.speech import TokenEncoder, with_gradient
from ipse.models.tokens import mean_of
from ipse.training import Batch, Method, Recipe, Step
from ipse.training.method import Data
from ipse.transforms import Original


class Heard(NamedTuple):
    """What the encoder makes of recordings of which spans of frames are hidden."""

    states: list[Tensor]  # (B, N, width): what enters the first block, and what comes out of each
    mask: Tensor  # bool (B, N), which frames are hidden
    valid: Tensor  # bool (B, N), which are of sound
    penalty: Tensor  # the mean square of the features in front of the transformer


class HuBERT(Method):
    """Finds units of sound by k-means, predicts those of hidden frames, finds better ones in what that taught, and begins anew.

    clusters: how many units each round has, fewer where they would have less than 20 frames each. Those of the first round are
    clusters of MFCCs, later ones of the hidden states at `layer`, by default the middle one, of the round before. alpha: the
    weight of hidden frames; that of the others is 1 - alpha. penalty: the weight of the mean square of the front end's features.
    feature_gradient: the share of the gradient that the front end gets.

    Hsu et al., TASLP 2021, arXiv:2106.07447
    """

    sees = Original()
    recipe = Recipe(lr=5e-4, weight_decay=0.01, warmup=0.08)
    modalities = ("audio",)
    needs_tokens = True
    restarts = True
    encoder: TokenEncoder
    units: Tensor
    used: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        clusters: Sequence[int] = (100, 500),
        layer: int | None = None,
        masked: float = 0.8,
        span: int = 10,
        alpha: float = 1.0,
        temperature: float = 0.1,
        width: int = 256,
        penalty: float = 10.0,
        feature_gradient: float = 0.1,
    ):
        super().__init__(encoder)
        if not isinstance(encoder, TokenEncoder):
            raise UserError(f"this method hides frames of sound, and encoder {encoder.name!r} has none: take mel_transformer")
        self.clusters, self.rounds, self.layer = tuple(clusters), len(clusters), layer
        self.masked, self.span, self.alpha, self.temperature = masked, span, alpha, temperature
        self.penalty, self.feature_gradient = penalty, feature_gradient
        self.mask_token = nn.Parameter(torch.rand(encoder.dim))
        self.width = width
        self.project = nn.Linear(encoder.dim, width)
        self.codewords = nn.Parameter(torch.randn(max(self.clusters), width))
        self.mfcc = MFCC(encoder.form["rate"], encoder.stride)

    def prepare(self, samples: Samples) -> None:
        frames = self.encoder.valid(torch.zeros(1, samples.form["samples"])).shape[1]
        self.register_buffer("units", torch.full((len(samples), frames), -1, dtype=torch.int16))
        self.register_buffer("used", torch.tensor(self.clusters[0]))
        self._start = [p.detach().clone() for p in self.parameters()]

    @torch.no_grad()
    def before_round(self, round: int, data: Data) -> None:
        training = self.training
        self.eval()
        rows = self._some_frames(round, data)
        centers = kmeans(rows, min(self.clusters[round], max(1, len(rows) // 20)), key=randomness.key("units", round))
        for index, x in data.everything():
            h, valid = self.described(round, index, x)
            units = assign(h.flatten(0, 1), centers).view(valid.shape).masked_fill(~valid, -1)
            n = min(units.shape[1], self.units.shape[1])
            self.units[index, :n] = units[:, :n].short()
        self.used.fill_(len(centers))
        self.train(training)
        if round:
            torch._foreach_copy_(list(self.parameters()), [p.to(self.units.device) for p in self._start])

    def _some_frames(self, round: int, data: Data, least: int = 10_000, most: int = 50_000) -> Tensor:
        """Descriptions (M, D) of a tenth of all frames, but `least` if there are so many, and about `most` at most."""
        share = min(max(0.1, least / self.units.numel()), most / self.units.numel())
        rows = []
        for index, x in data.everything():
            h, valid = self.described(round, index, x)
            chosen = randomness.uniform(randomness.key("frames", round), index, valid.shape[1]) < share
            rows.append(h[valid & chosen])
        return torch.cat(rows)

    def described(self, round: int, index: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the frames of the samples at `index` are clustered by, (B, N, D), and which are of sound, bool (B, N)."""
        if round == 0:
            features: tuple[Tensor, Tensor] = self.mfcc(x)
            return features
        states = self.encoder.layers(x)
        return layer_norm(states[len(states) // 2 if self.layer is None else self.layer]), self.encoder.valid(x)

    def heard(self, x: Tensor, u: Tensor) -> Heard:
        """Hides frames of x (B, T) by the uniforms u (B, N), and encodes."""
        features, valid = self.encoder.features(x)
        features = with_gradient(features, self.feature_gradient)
        mask = span_mask(u, valid, self.masked, self.span)
        frames = self.encoder.projected(features)
        frames = torch.where(mask[..., None], self.mask_token.to(frames.dtype), frames)
        states = self.encoder.passed(self.encoder.positioned(frames, valid), valid).states
        return Heard(states, mask, valid, mean_where(features.float().square().mean(dim=2), valid))

    def unit_loss(self, h: Tensor, heard: Heard, labels: Tensor) -> Tensor:
        """How badly h (B, N, width) tells the units `labels` (B, N) of hidden frames, or of all."""
        prediction, codewords = self.project(h), self.codewords[: int(self.used)]
        loss = self.alpha * codeword_cross_entropy(prediction, codewords, labels, heard.mask, self.temperature)
        if self.alpha == 1:
            return loss
        seen = heard.valid & ~heard.mask
        return loss + (1 - self.alpha) * codeword_cross_entropy(prediction, codewords, labels, seen, self.temperature)

    def labels(self, batch: Batch) -> Tensor:
        """The units (b, N) of a batch, -1 where there is no sound or nothing was clustered yet."""
        return self.units[batch.index].long()

    def round_progress(self, batch: Batch) -> float:
        """The share of the current round that is done, from 0 to 1."""
        return batch.progress * self.rounds % 1

    def loss(self, batch: Batch) -> Step:
        return self.predicted(batch)[1]

    def predicted(self, batch: Batch) -> tuple[Heard, Step]:
        """What the encoder makes of a batch, and how badly it tells the units of what is hidden."""
        (x,) = batch
        heard = self.heard(x, batch.uniform("mask", self.units.shape[1]))
        units = self.unit_loss(heard.states[-1], heard, self.labels(batch))
        pooled = mean_of(heard.states[-1], heard.valid)
        terms = {"units": units, "features": heard.penalty}
        return heard, Step(units + self.penalty * heard.penalty, z=(pooled,), h=(pooled,), terms=terms)
