"""TimeDRL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ipse.distributed import all_mean
from ipse.errors import UserError
from ipse.losses.masked import masked_series_mse
from ipse.losses.precision import full_precision
from ipse.models import Encoder
from ipse.models.norm import TokenNorm
from ipse.models.patch_transformer import POOLS, Encoded, PatchTransformer
from ipse.models.tokens import mean_of
from ipse.training import Batch, Method, Recipe, Step
from ipse.transforms import Original


class TimeDRL(Method):
    """Learns patches by writing them out again and whole series by finding one in the other of two passes under dropout.

        L = L_predictive + weight L_contrastive
        L_predictive = mean over both passes of  the squared error of a linear map of the patches' outputs to the patches
        L_contrastive = -1/2 ( cos(c(i1), sg(i2)) + cos(c(i2), sg(i1)) )

    with i the output of a learned class patch and c a small predictor; nothing is hidden or changed. instance: what else i may
    be: the last patch's output ("last"), the mean ("gap") or all of them ("all"). target: the patches as the encoder sees them
    ("normalised"), or before each series was normalised ("raw"), as in the authors' code. Without dropout in the encoder both
    passes are the same. The authors' patches hold all channels (`mix`) for classification, one for forecasting.

    Chang et al., ICDE 2024, arXiv:2312.04142
    """

    sees = Original()
    recipe = Recipe(lr=1e-3, weight_decay=1e-2)
    modalities = ("series",)
    needs_tokens = True
    encoder_options: ClassVar[Mapping[str, Any]] = {"dropout": 0.2, "pool": "cls", "mix": True}

    def __init__(
        self,
        encoder: Encoder,
        *,
        weight: float = 1.0,
        instance: str = "cls",
        stop_gradient: bool = True,
        target: str = "normalised",
    ):
        super().__init__(encoder)
        if not isinstance(encoder, PatchTransformer):
            raise UserError(f"timedrl writes out patches, and encoder {encoder.name!r} has none: take patch_transformer")
        if instance not in POOLS:
            raise UserError(f"timedrl has instance {', '.join(map(repr, POOLS))}, not {instance!r}")
        if target not in ("normalised", "raw"):
            raise UserError(f"timedrl has target 'normalised' or 'raw', not {target!r}")
        encoder.add_class_patch()
        encoder.pool_by(instance)
        self.encoder: PatchTransformer = encoder
        self.head = nn.Sequential(nn.Dropout(encoder.dropout), nn.Linear(encoder.width, encoder.patch_embedding.in_features))
        self.predictor = _Predictor(encoder.dim, encoder.dropout)
        self.weight, self.stop_gradient, self.target = weight, stop_gradient, target

    def loss(self, batch: Batch) -> Step:
        (x,) = batch
        target = self.encoder.patches(x) if self.target == "normalised" else self.encoder.cut(x)
        passes = [self.encoder.encoded(x) for _ in range(2)]
        predictive = torch.stack([self.predictive(p.places, target) for p in passes]).mean()
        contrastive = self.contrastive(*passes)
        h = [mean_of(p.whole, p.known) for p in passes]
        terms = {"predictive": predictive, "contrastive": contrastive}
        return Step(predictive + self.weight * contrastive, z=h, h=h, terms=terms)

    def predictive(self, places: Tensor, target: Tensor) -> Tensor:
        """The squared error of the patches (B, M, P) that are read from their outputs (B, M, width)."""
        return masked_series_mse(self.head(places), target, torch.ones_like(target, dtype=torch.bool))

    def contrastive(self, one: Encoded, two: Encoded) -> Tensor:
        """The negative cosine of each channel's instance embedding, predicted, and that of the other pass."""
        p1, p2 = (self.predictor(e.whole, e.known) for e in (one, two))
        i1, i2 = (e.whole.detach() if self.stop_gradient else e.whole for e in (one, two))
        return (_apart(p1, i2, one.known) + _apart(p2, i1, one.known)) / 2


class _Predictor(nn.Module):
    """Two linear layers with half the width between them, batch statistics over what is known: (B, G, D) to the same."""

    def __init__(self, dim: int, dropout: float):
        super().__init__()
        self.down, self.norm, self.up = nn.Linear(dim, dim // 2), TokenNorm(dim // 2), nn.Linear(dim // 2, dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        out: Tensor = self.up(self.drop(F.relu(self.norm(self.down(x), known))))
        return out


@full_precision
def _apart(p: Tensor, z: Tensor, known: Tensor) -> Tensor:
    """The mean of -cos over what is known, bool (B, G): p, z (B, G, D)."""
    cosine = torch.where(known, F.cosine_similarity(p, z, dim=-1), 0)
    return -cosine.sum() / all_mean(known.sum().to(cosine.dtype)).clamp_min(1e-6)
