"""Aligned contrastive predictive coding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ipse.errors import UserError
from ipse.losses.predictive import aligned_prediction
from ipse.models import Encoder
from ipse.models.recurrent import WaveLSTM
from ipse.models.tokens import mean_of, tokens_at
from ipse.training import Batch, Method, Recipe, Step
from ipse.transforms import Original


class AlignedCPC(Method):
    """Predicts which sounds come next, in order but not when: fewer predictions than frames, aligned with them.

        S[k, m] = log sigmoid( z_{t+k} . p_m(c_t) / d - logsumexp over negatives n of z_n . p_m(c_t) / d )

    z are the latents of the encoder, c its context, p_m linear. frames: how many latents each window has. predictions: how many
    p_m there are, each for one latent or more; as many as frames make plain CPC. self_loop: z_t itself comes before them, for
    the sound that goes on. negatives: how many other latents of the recording, outside of the window; from the same recording,
    as the speaker would give others away. windows: how many of a recording count, in a row.

    Chorowski et al., Interspeech 2021, arXiv:2104.11946
    """

    sees = Original()
    recipe = Recipe(lr=1e-3, weight_decay=0.0)
    modalities = ("audio",)
    usual_encoder = "wave_lstm"
    encoder: WaveLSTM

    def __init__(
        self,
        encoder: Encoder,
        *,
        frames: int = 12,
        predictions: int = 8,
        self_loop: bool = False,
        negatives: int = 128,
        windows: int = 116,
        temperature: float = 1.0,
    ):
        super().__init__(encoder)
        if not isinstance(encoder, WaveLSTM):
            raise UserError(
                f"this method predicts latents from what came before, and encoder {encoder.name!r} has none: take wave_lstm"
            )
        if predictions + self_loop > frames:
            raise UserError(
                f"{predictions + self_loop} predictions cannot be aligned with {frames} frames: "
                f"take --set predictions={frames - self_loop} or less"
            )
        self.frames, self.predictions, self.self_loop = frames, predictions, self_loop
        self.negatives, self.windows, self.temperature = negatives, windows, temperature
        self.predictor = nn.Linear(encoder.dim, predictions * encoder.conv, bias=False)

    def loss(self, batch: Batch) -> Step:
        (x,) = batch
        z, valid = self.encoder.frames(x)
        c = self.encoder.context(z, valid)[-1]
        pooled = mean_of(c, valid)
        positive, negative, whole = self.scores(z, c, valid, batch)
        loss = aligned_prediction(positive[whole], negative[whole], self.temperature)
        return Step(loss, z=(pooled,), h=(pooled,))

    def scores(self, z: Tensor, c: Tensor, valid: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Of windows (B, W): how well each prediction fits each frame, (B, W, K, M), its log-sum-exp with the negatives, (B, W, M),
        and which windows lie in the sound, bool (B, W)."""
        t, whole = self.chosen_windows(valid, batch)
        last = z.shape[1] - 1
        now = t.clamp(max=last)
        p = self.predictor(tokens_at(c, now)).unflatten(2, (self.predictions, -1))
        if self.self_loop:
            p = torch.cat([tokens_at(z, now)[:, :, None].to(p.dtype), p], dim=2)
        ahead = (t[..., None] + torch.arange(1, self.frames + 1, device=z.device)).clamp(max=last)
        latents = tokens_at(z, ahead.flatten(1)).unflatten(1, ahead.shape[1:])
        positive = torch.einsum("btmd,btkd->btkm", p, latents) / z.shape[2]
        return positive.float(), self.among_negatives(p, z, t, valid, batch), whole

    def chosen_windows(self, valid: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """The frames (B, W) that windows follow, in a row from one that is drawn, and which windows lie in the sound, bool (B, W)."""
        possible = (valid.sum(dim=1) - self.frames).clamp_min(0)
        width = min(self.windows, max(1, valid.shape[1] - self.frames))
        first = (batch.uniform("windows", 1)[:, 0].double() * (possible - width + 1).clamp_min(1)).long()
        t = first[:, None] + torch.arange(width, device=valid.device)
        return t, t < possible[:, None]

    def among_negatives(self, p: Tensor, z: Tensor, t: Tensor, valid: Tensor, batch: Batch) -> Tensor:
        """The log-sum-exp of how well predictions p (B, W, M, D) fit latents outside of their window: (B, W, M)."""
        drawn = (batch.uniform("negatives", self.negatives).double() * valid.sum(dim=1, keepdim=True)).long()
        fit = torch.einsum("btmd,bnd->btmn", p, tokens_at(z, drawn)) / z.shape[2]
        near = (drawn[:, None] >= t[..., None]) & (drawn[:, None] <= (t + self.frames)[..., None])
        # Not minus infinity: where nothing is left its gradient is NaN.
        return fit.float().masked_fill(near[:, :, None], -1e4).logsumexp(dim=3)
