"""Retrieval-based reconstruction."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ipse.data import Samples
from ipse.errors import UserError
from ipse.losses.masked import masked_series_mse
from ipse.losses.series import candidate_contrast, instance_contrast
from ipse.models import EMA, Encoder
from ipse.models.partial_conv import PartialConv1d
from ipse.models.revin import RevIN
from ipse.training import Batch, Method, Recipe, Step
from ipse.transforms import Look, SameGroup


class Rebar(Method):
    """Learns which window of a recording could best fill the gaps of another, then pulls the two together.

    Round 1 trains a reconstructor on windows of which a `stretch` (a share of the steps) is hidden. In round 2 it stays as it is;
    of the `candidates`, other windows of the anchor's recording, the positive is the one from which a random half of the
    anchor's steps is reconstructed with the least squared error:

        L = alpha L_instance + (1 - alpha) L_candidates

    the contrast with the other anchors and with the other candidates. averaged: the encoder that is left at the end is the mean
    of its weights over this last share of round 2. depth, width: of the reconstructor's convolutions. The defaults are the
    paper's for human activities; for ECG it takes alpha 0.5, temperature 0.001 and depth 5, for pulse waves temperature 10.

    Xu et al., ICLR 2024, arXiv:2311.00519
    """

    recipe = Recipe(lr=1e-3, weight_decay=0.0)
    modalities: ClassVar[tuple[str, ...]] = ("series",)
    sees = SameGroup(2, Look("none"))  # with as many candidates as there are, when that is known
    rounds = 2
    restarts = True
    counted: Tensor
    members: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        candidates: int = 20,
        alpha: float = 0.0,
        temperature: float = 0.1,
        stretch: float = 0.12,
        averaged: float = 1.0,
        width: int = 256,
        depth: int = 1,
        dropout: float = 0.1,
    ):
        super().__init__(encoder)
        self.candidates, self.alpha, self.temperature = candidates, alpha, temperature
        self.stretch, self.averaged, self.dropout = stretch, averaged, dropout
        self.reconstructor = Reconstructor(encoder.form["channels"], width, depth)
        self.mean = EMA(encoder)
        self.register_buffer("counted", torch.zeros((), dtype=torch.int64))

    def prepare(self, samples: Samples) -> None:
        """Remembers how many windows each window's recording has: those that a small one lacks are no candidates."""
        members = np.bincount(samples.group_numbers)[samples.group_numbers]
        if members.max() < 2:
            raise UserError(
                "rebar compares windows of one recording, and here each sample stands alone: give longer recordings, or groups of samples"
            )
        self.candidates = min(self.candidates, int(members.max()) - 1)
        self.sees = SameGroup(1 + self.candidates, Look("none"))
        self.register_buffer("members", torch.from_numpy(members))

    def loss(self, batch: Batch) -> Step:
        anchor, *candidates = batch
        step = self._reconstruct(batch, anchor) if self._first(batch) else self._contrast(batch, anchor, candidates)
        # Every parameter takes part in every step, with a gradient of 0 where it does not learn: processes wait for all of them.
        step.loss = step.loss + 0.0 * sum(p.sum() for p in self.parameters() if p.requires_grad)
        return step

    def _first(self, batch: Batch) -> bool:
        return batch.step < batch.steps // 2

    def _reconstruct(self, batch: Batch, x: Tensor) -> Step:
        t = x.shape[2]
        n = min(max(1, round(self.stretch * t)), t - 1)
        start = (batch.uniform("stretch", 1) * (t - n + 1)).long()
        steps = torch.arange(t, device=x.device)
        hidden = ((steps >= start) & (steps < start + n))[:, None]
        loss = masked_series_mse(self.reconstructor(x.masked_fill(hidden, torch.nan), x, self.dropout), x, hidden)
        h = self.encoder(x)
        return Step(loss, z=(h,), h=(h,), terms={"reconstruction": loss})

    def _contrast(self, batch: Batch, anchor: Tensor, candidates: list[Tensor]) -> Step:
        order = batch.uniform("half", anchor.shape[2]).argsort(dim=1).argsort(dim=1)
        hidden = order < anchor.shape[2] // 2
        there = torch.arange(1, 1 + len(candidates), device=anchor.device) < self.members[batch.index][:, None]
        far = torch.stack([self.reconstructor.distance(anchor, c, hidden) for c in candidates], dim=1)
        label = far.masked_fill(~there, torch.inf).argmin(dim=1)
        h, *others = self.encoder(torch.cat([anchor, *candidates])).chunk(1 + len(candidates))
        every = torch.stack(others, dim=1)
        positive = every[torch.arange(len(label), device=label.device), label]
        near = candidate_contrast(h, every, label, self.temperature, there)
        instance = instance_contrast(h, positive, self.temperature)
        loss = self.alpha * instance + (1 - self.alpha) * near
        return Step(loss, z=(h, positive), h=(h, positive), terms={"candidates": near, "instance": instance})

    def after_step(self, batch: Batch) -> None:
        last = self.averaged * (batch.steps - batch.steps // 2)  # steps at the end of which the weights are averaged
        if batch.steps - batch.step > last:
            return
        self.mean.update(self.encoder, 1 - 1 / int(self.counted.add_(1)))
        if batch.step + 1 == batch.steps:
            self.mean.hand_over(self.encoder)


class Reconstructor(nn.Module):
    """Fills the gaps of a query with what it finds in a key, by cross-attention over time: (B, C, T) and (B, C, T) to (B, C, T).

    Missing values of the query are the gaps. Both are normalised by the mean and scale of what the query shows, so that how high
    and how large the key is still counts. No weights but those of the convolutions come before the softmax.
    """

    def __init__(self, channels: int, width: int = 256, depth: int = 1):
        super().__init__()
        self.revin = RevIN(channels)
        self.query, self.key, self.value = (_Convolutions(channels, width, depth) for _ in range(3))
        self.out = nn.Linear(width, channels)

    def forward(self, query: Tensor, key: Tensor, dropout: float = 0.0) -> Tensor:
        known = ~key.isnan().all(dim=1)
        seen, mean, scale = self.revin(query)
        stored, _, _ = self.revin(key, (mean, scale))
        q, k, v = (f(x).transpose(1, 2) for f, x in ((self.query, seen), (self.key, stored), (self.value, stored)))
        known = (known | ~known.any(dim=1, keepdim=True))[:, None]  # a softmax over nothing is NaN
        found: Tensor = self.out(F.scaled_dot_product_attention(q, k, v, attn_mask=known, dropout_p=dropout))
        return self.revin.inverse(found.transpose(1, 2), mean, scale)

    @torch.no_grad()
    def distance(self, anchor: Tensor, candidate: Tensor, hidden: Tensor) -> Tensor:
        """The sum of squared errors (B,) at the hidden steps, bool (B, T), of anchors (B, C, T) that candidates have to fill."""
        gaps = hidden[:, None]
        filled: Tensor = self(anchor.masked_fill(gaps, torch.nan), candidate)
        error = filled.float() - anchor
        return error.where(gaps & ~anchor.isnan(), 0.0).square().sum(dim=(1, 2))


class _Convolutions(nn.Module):
    """A convolution over what is known, then residual ones whose dilation doubles: (B, C, T) to (B, width, T)."""

    def __init__(self, channels: int, width: int, depth: int, kernel: int = 15):
        super().__init__()
        self.first = PartialConv1d(channels, width, kernel, padding=kernel // 2)
        narrow = max(1, width // 8)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(width, narrow, 1),
                nn.Conv1d(narrow, width, kernel, dilation=2**i, padding=kernel // 2 * 2**i),
            )
            for i in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        h = F.instance_norm(F.gelu(self.first(x)))
        for layer in self.layers:
            h = F.instance_norm(F.gelu(h + layer(h)))
        return h
