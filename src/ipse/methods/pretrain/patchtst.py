"""PatchTST."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ipse.errors import UserError
from ipse.losses.masked import masked_series_mse
from ipse.losses.sdsc import sdsc_loss
from ipse.models import Encoder
from ipse.models.patch_transformer import PatchTransformer
from ipse.models.tokens import mean_of
from ipse.training import Batch, Method, Recipe, Step
from ipse.transforms import Original


class PatchTST(Method):
    """Hides patches of every channel of a series and fills them in from the other patches of that channel.

    masked: the share that is hidden, of each sample and channel anew; hidden patches enter as zeros, and the values of the
    normalised series are the target. loss: "mse", or "sdsc", the overlap of signed areas, or "hybrid", the sum of both (Lee
    and Kang, 2025, arXiv:2507.14516). The paper's patches have 12 steps.

    Nie et al., ICLR 2023, arXiv:2211.14730
    """

    sees = Original()
    recipe = Recipe(lr=1e-3, weight_decay=0.0)
    modalities = ("series",)
    needs_tokens = True
    encoder_options: ClassVar[Mapping[str, Any]] = {"dropout": 0.2}

    def __init__(self, encoder: Encoder, *, masked: float = 0.4, loss: str = "mse"):
        super().__init__(encoder)
        if not isinstance(encoder, PatchTransformer):
            raise UserError(f"patchtst hides patches, and encoder {encoder.name!r} has none: take patch_transformer")
        if loss not in ("mse", "sdsc", "hybrid"):
            raise UserError(f"patchtst has loss 'mse', 'sdsc' or 'hybrid', not {loss!r}")
        self.encoder: PatchTransformer = encoder
        self.head = nn.Sequential(nn.Dropout(encoder.dropout), nn.Linear(encoder.width, encoder.patch_embedding.in_features))
        self.masked, self.kind = masked, loss

    def loss(self, batch: Batch) -> Step:
        (x,) = batch
        patches = self.encoder.patches(x)
        b, m, _ = patches.shape
        groups = 1 if self.encoder.mix else x.shape[1]
        known = ~patches.isnan().all(dim=2)
        u = batch.uniform("mask", m)
        hidden = hide(u.view(b, groups, -1), known.view(b, groups, -1), self.masked).view(b, m)
        h = self.encoder.blocks(self.encoder.embed(patches.masked_fill(hidden[..., None], 0), groups), groups)
        pooled = mean_of(h, known & ~hidden)
        return Step(self._compare(self.head(h), patches, hidden, groups), z=(pooled,), h=(pooled,))

    def _compare(self, prediction: Tensor, patches: Tensor, hidden: Tensor, groups: int) -> Tensor:
        if self.kind == "mse":
            return masked_series_mse(prediction, patches, hidden[..., None])
        target = patches.masked_fill(~hidden[..., None], torch.nan)
        r, e = (t.reshape(len(t), groups, -1) for t in (prediction, target))
        return sdsc_loss(r, e, mse_weight=1.0 if self.kind == "hybrid" else 0.0)


def hide(u: Tensor, known: Tensor, share: float) -> Tensor:
    """Hides this share of the known patches of each channel, rounded up, but not the only one: bool, True where hidden.

    `u`: uniforms; `known`: bool; (B, G, N) both.

    >>> hide(torch.tensor([[[0.9, 0.1, 0.4, 0.3, 0.2]]]), torch.tensor([[[True, True, True, True, False]]]), 0.4).int()
    tensor([[[0, 1, 0, 1, 0]]], dtype=torch.int32)
    """
    n = known.sum(dim=2, keepdim=True)
    # Of 10 patches 6 are kept, although 0.6 * 10 may be a little less.
    kept = (n * (1 - share) + 1e-6).floor().clamp_min(1)
    rank = u.masked_fill(~known, 2.0).argsort(dim=2, stable=True).argsort(dim=2)
    return (rank < n - kept) & known
