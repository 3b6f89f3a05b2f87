"""Vector-quantised autoregressive predictive coding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ipse.errors import UserError
from ipse.losses.predictive import future_l1
from ipse.losses.units import diversity
from ipse.models import Encoder
from ipse.models.quantiser import GumbelQuantiser
from ipse.models.recurrent import MelGRU
from ipse.models.tokens import mean_of
from ipse.training import Batch, Method, Recipe, Step
from ipse.transforms import Original


class VQAPC(Method):
    """Predicts the log-mel frame some steps ahead from the past, through a codebook behind the last recurrent layer.

    steps: how many frames of 10 ms ahead. entries: the size of the codebook, which lets at most log2(entries) bits of each frame
    pass; 0 for none, which is plain APC. The encoder's frames are those before they are quantised.

    Chung, Tang & Glass, Interspeech 2020, arXiv:2005.08392; Chung et al., Interspeech 2019, arXiv:1904.03240
    """

    sees = Original()
    recipe = Recipe(lr=1e-3, weight_decay=0.0)
    modalities = ("audio",)
    usual_encoder = "mel_gru"
    encoder: MelGRU

    def __init__(self, encoder: Encoder, *, steps: int = 5, entries: int = 512, temperature: float = 0.5):
        super().__init__(encoder)
        if not isinstance(encoder, MelGRU):
            raise UserError(
                f"this method predicts the future from the past alone, and encoder {encoder.name!r} sees both: take mel_gru"
            )
        self.steps, self.temperature = steps, temperature
        self.quantiser = GumbelQuantiser(encoder.dim, 1, entries, encoder.dim) if entries else None
        if self.quantiser is not None:
            self.quantiser.logits.reset_parameters()  # at this temperature logits that begin far apart leave most entries dead
        self.predictor = nn.Linear(encoder.dim, encoder.mel.n_mels)

    def loss(self, batch: Batch) -> Step:
        (x,) = batch
        frames, valid = self.encoder.frames(x)
        past = h = self.encoder.context(frames, valid)[-1]
        terms: dict[str, Tensor] = {}
        if self.quantiser is not None:
            entries = self.quantiser.codebook.shape[1]
            noise = batch.uniform("gumbel", h.shape[1] * entries).view(*h.shape[:2], 1, entries)
            codes = self.quantiser(h, noise, self.temperature)
            past = codes.x
            with torch.no_grad():
                terms["perplexity"] = entries * (1 - diversity(codes.probabilities, valid))
        loss = future_l1(self.predictor(past), frames, self.steps, valid)
        pooled = mean_of(h, valid)
        return Step(loss, z=(pooled,), h=(pooled,), terms=terms)
