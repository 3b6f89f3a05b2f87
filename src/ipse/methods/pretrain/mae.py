"""Masked autoencoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ipse.data.form import shape
from ipse.losses.masked import masked_mse
from ipse.models import Encoder
from ipse.models.tokens import Block, positions
from ipse.training import Batch, Method, Recipe, Step
from ipse.transforms import Masked


class MAE(Method):
    """Hides most patches, encodes the rest, and lets a light decoder paint what was hidden.

    masked: the share that is hidden. normalize: what a patch holds is the target after removing its mean and scale; not of tables, whose patches
    are single cells.

    He et al., CVPR 2022, arXiv:2111.06377
    """

    sees = Masked()
    recipe = Recipe(lr=1e-3, weight_decay=0.05, warmup=0.1)
    needs_tokens = True

    def __init__(
        self,
        encoder: Encoder,
        *,
        masked: float = 0.75,
        width: int = 128,
        depth: int = 2,
        heads: int = 4,
        normalize: bool = True,
    ):
        super().__init__(encoder)
        with torch.no_grad():
            sample = torch.zeros(1, *shape(encoder.form))
            patches, tokens = self.patches(sample), encoder.tokens(sample)
        self.adapt = nn.Linear(tokens.shape[2], width)
        self.hidden_token = nn.Parameter(torch.zeros(1, 1, width))
        self.register_buffer("position", positions(encoder.form, patches.shape[1], width), persistent=False)
        self.decoder = nn.Sequential(
            *(Block(width, heads) for _ in range(depth)), nn.LayerNorm(width), nn.Linear(width, patches.shape[2])
        )
        self.masked, self.normalize = masked, normalize and encoder.form["modality"] != "table"

    def patches(self, x: Tensor) -> Tensor:
        """What each patch holds, in the order of the encoder's tokens: (B, N, P)."""
        encoder: Any = self.encoder
        out: Tensor = encoder.patches(x)
        return out

    def loss(self, batch: Batch) -> Step:
        (x,) = batch
        tokens, patches = self.encoder.tokens(x), self.patches(x)
        n, seen = tokens.shape[1], max(1, round(tokens.shape[1] * (1 - self.masked)))
        order = batch.uniform("mask", n).argsort(1)
        kept = order[:, :seen, None]
        h = self.encoder.blocks(tokens.gather(1, kept.expand(-1, -1, tokens.shape[2])))
        known = self.adapt(h)
        painted = self.hidden_token.to(known.dtype).expand(len(x), n, -1).scatter(1, kept.expand(-1, -1, known.shape[2]), known)
        position: Tensor = self.position  # type: ignore[assignment]
        prediction = self.decoder(painted + position)
        hidden = torch.ones(len(x), n, dtype=torch.bool, device=x.device).scatter(1, order[:, :seen], False)
        pooled = h.mean(1)
        return Step(masked_mse(prediction, patches, hidden, self.normalize), z=(pooled,), h=(pooled,))
