"""wav2vec 2.0."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ipse.losses.means import mean_where
from ipse.losses.units import diversity
from ipse.losses.wav2vec import sampled_info_nce
from ipse.models import Encoder
from ipse.models.norm import layer_norm
from ipse.models.quantiser import GumbelQuantiser, Quantised
from ipse.models.spans import chosen_positions, other_positions, span_mask
from ipse.models.speech import TokenEncoder, with_gradient
from ipse.models.tokens import mean_of, tokens_at
from ipse.training import Batch, Method, Recipe, Step
from ipse.transforms import Original


class Local(NamedTuple):
    """What an encoder's front end makes of clips, before any context."""

    loudness: Tensor  # (B, N): the mean square of each frame's features
    features: Tensor  # (B, N, C), normalised: what is quantised
    frames: Tensor  # (B, N, width): what the transformer is given
    valid: Tensor  # bool (B, N): which frames are of sound


class Hidden(NamedTuple):
    """Which frames are hidden: bool (B, N), where they stand, int64 (B, M), and which of these M there are, bool (B, M)."""

    mask: Tensor
    positions: Tensor
    there: Tensor

    def of(self, x: Tensor) -> Tensor:
        """The hidden ones of frames: (B, N, D) to (B, M, D)."""
        return tokens_at(x, self.positions)


class Candidates(NamedTuple):
    """What hidden frames are to be found among."""

    targets: Tensor  # (B, M, width): each frame's own
    others: Tensor  # int64 (B, M, K): of which frames of the clip the targets are the negatives of each
    there: Tensor  # bool (B, M): which frames there are
    weakened: Tensor | None = None  # bool (B, M, K): the negatives whose logits are multiplied by `scale`
    scale: float = 1.0


class Wav2Vec2(Method):
    """Hides spans of frames and finds the quantised features of each hidden frame among those of others of the same clip.

        L = InfoNCE(c_t, q_t) + diversity_weight * diversity of the codes + penalty * mean square of the features

    c: what the transformer makes of hidden frames; q: the codes of the frames themselves.
    masked: the share of frames that would be hidden if spans did not overlap.  span: their length in frames.
    feature_gradient: the factor of the gradient that reaches the convolutions.  The quantiser's temperature falls from `hot` to
    `cold` in the first 70 % of the run.

    Baevski et al., NeurIPS 2020, arXiv:2006.11477
    """

    sees = Original()
    recipe = Recipe(lr=5e-4, weight_decay=0.01, warmup=0.08)
    modalities = ("audio",)
    needs_tokens = True
    usual_encoder = "wave_transformer"
    encoder: TokenEncoder

    def __init__(
        self,
        encoder: Encoder,
        *,
        masked: float = 0.65,
        span: int = 10,
        groups: int = 2,
        entries: int = 320,
        width: int = 256,
        negatives: int = 100,
        temperature: float = 0.1,
        hot: float = 2.0,
        cold: float = 0.5,
        diversity_weight: float = 0.1,
        penalty: float = 10.0,
        feature_gradient: float = 0.1,
    ):
        super().__init__(encoder)
        with torch.no_grad():
            features = self.encoder.features(torch.zeros(1, encoder.form["rate"]))[0].shape[2]
        self.hidden_frame = nn.Parameter(torch.rand(encoder.dim))
        self.quantiser = GumbelQuantiser(features, groups, entries, width)
        self.target, self.predictor = nn.Linear(width, width), nn.Linear(encoder.dim, width)
        self.masked, self.span, self.negatives, self.temperature = masked, span, negatives, temperature
        self.hot, self.cold, self.diversity_weight, self.penalty = hot, cold, diversity_weight, penalty
        self.feature_gradient = feature_gradient

    def loss(self, batch: Batch) -> Step:
        (x,) = batch
        local = self.local(x)
        hidden = self.hide(batch, local.valid)
        h = self.context(local, hidden)
        codes, q = self.quantise(batch, local, hidden)
        candidates = Candidates(q, self.others(batch, hidden), hidden.there)
        loss = self.contrast(self.predictor(hidden.of(h)), candidates)
        return self.step({"contrast": loss}, h, local, codes, hidden)

    def local(self, x: Tensor, feature_gradient: float | None = None) -> Local:
        """What the front end makes of waves (B, T); the gradient that reaches the convolutions is scaled."""
        features, valid = self.encoder.features(x)
        features = with_gradient(features, self.feature_gradient if feature_gradient is None else feature_gradient)
        return Local(features.float().square().mean(dim=-1), layer_norm(features), self.encoder.projected(features), valid)

    def hide(self, batch: Batch, valid: Tensor) -> Hidden:
        """Draws what is hidden of the valid frames (B, N)."""
        mask = span_mask(batch.uniform("span", valid.shape[1]), valid, self.masked, self.span)
        return Hidden(mask, *chosen_positions(mask))

    def context(self, local: Local, hidden: Hidden) -> Tensor:
        """What the transformer makes of the frames when the hidden ones are replaced: (B, N, width)."""
        frames = torch.where(hidden.mask[..., None], self.hidden_frame.to(local.frames.dtype), local.frames)
        return self.encoder.blocks(self.encoder.positioned(frames, local.valid), local.valid)

    def quantise(self, batch: Batch, local: Local, hidden: Hidden, name: str = "") -> tuple[Quantised, Tensor]:
        """The codes of the hidden frames, and the targets (B, M, width) made of them; `name` tells several draws apart."""
        features = hidden.of(local.features)
        shape = (features.shape[1], *self.quantiser.codebook.shape[:2])
        u = batch.uniform(f"gumbel{name}", math.prod(shape)).view(-1, *shape)
        cooling = min(1.0, batch.progress / 0.7)
        codes: Quantised = self.quantiser(features, u, self.hot * (self.cold / self.hot) ** cooling)
        return codes, self.target(codes.x)

    def others(self, batch: Batch, hidden: Hidden, name: str = "") -> Tensor:
        """Draws the other hidden frames that each one is contrasted with: int64 (B, M, negatives)."""
        b, m = hidden.there.shape
        u = batch.uniform(f"negatives{name}", m * self.negatives).view(b, m, self.negatives)
        return other_positions(u, hidden.there.sum(dim=1))

    def contrast(self, c: Tensor, candidates: Candidates) -> Tensor:
        """Finds each hidden frame's target by c (B, M, width)."""
        targets, others, there, weakened, scale = candidates
        return sampled_info_nce(c, targets, others, self.temperature, weakened, scale, there)

    def step(self, terms: dict[str, Tensor], h: Tensor, local: Local, codes: Quantised, hidden: Hidden) -> Step:
        """The sum of the terms and of what keeps the codes diverse and the features small."""
        terms = terms | {
            "diversity": self.diversity_weight * diversity(codes.probabilities, hidden.there),
            "penalty": self.penalty * mean_where(local.loudness, local.valid),
        }
        pooled = mean_of(h, local.valid)
        return Step(torch.stack(list(terms.values())).sum(), z=(pooled,), h=(pooled,), terms=terms)
