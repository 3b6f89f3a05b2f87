"""ContentVec."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ipse.data import Samples
from ipse.losses.wav2vec import frame_contrast
from ipse.methods.pretrain.hubert import Heard, HuBERT
from ipse.models import Encoder
from ipse.models.conditional import ConditionalBlock
from ipse.models.mel import Mel
from ipse.models.spans import other_frames
from ipse.models.tokens import mean_of
from ipse.training import Batch, Step
from ipse.training.method import Data
from ipse.transforms.voice import BANDS, change_voice, equalise


class ContentVec(HuBERT):
    """HuBERT that forgets who speaks: units without speakers, two voices of each recording, a predictor that is told the speaker.

    Units: what is clustered is first brought to mean 0 and deviation 1 for each speaker. The paper lets a voice converter that
    was trained before say everything in one voice; this reconstruction does without. Speakers are the groups of the data, each
    with the statistics of its frames and of `relevance` frames of the average speaker; None leaves the units as they are.

    Voices: both are the recording with other formants, pitch and liveliness, by factors of up to these or one over these, and an
    equaliser of 10 bands, up to as many dB. The same frames are hidden. At `contrast_layer`, by default 5/6 of the way up, each
    frame that is not is found in the other voice, among frames of its own; the weight of that grows from 0 to `contrast`.

    Predictor: `predictor` blocks behind the encoder, not kept with it, whose norms depend on the speaker: here on the means and
    deviations of the unchanged recording's log-mel bands, projected; the paper has a trained speaker embedding.

    Qian et al., ICML 2022, arXiv:2204.09224
    """

    group: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        relevance: float | None = 100.0,
        formants: float = 1.4,
        pitch: float = 2.0,
        liveliness: float = 1.5,
        equaliser: float = 12.0,
        contrast: float = 1.0,
        contrast_layer: int | None = None,
        negatives: int = 100,
        predictor: int = 3,
        heads: int = 4,
        speaker: int = 256,
        **others: Any,
    ):
        super().__init__(encoder, **others)
        self.relevance, self.factors, self.equaliser = relevance, (formants, pitch, liveliness), equaliser
        self.contrast, self.contrast_layer, self.negatives = contrast, contrast_layer, negatives
        self.contrast_head = nn.Sequential(nn.LayerNorm(encoder.dim), nn.Linear(encoder.dim, self.width)) if contrast else None
        self.mel = Mel(rate=encoder.form["rate"])
        self.predictor = nn.ModuleList(ConditionalBlock(encoder.dim, heads, speaker) for _ in range(predictor))
        self.final_norm = nn.LayerNorm(encoder.dim) if predictor else nn.Identity()
        self.speaker = nn.Linear(2 * self.mel.n_mels, speaker) if predictor else None

    def prepare(self, samples: Samples) -> None:
        super().prepare(samples)
        self.register_buffer("group", torch.from_numpy(samples.group_numbers), persistent=False)

    @torch.no_grad()
    def before_round(self, round: int, data: Data) -> None:
        self._speakers = None
        if self.relevance is not None:
            self._speakers = self._speaker_statistics(round, data, self.relevance)
        super().before_round(round, data)
        self._speakers = None

    _speakers: tuple[Tensor, Tensor] | None = None
    """The mean and the deviation (groups, D) of each speaker's frames, while they are clustered."""

    def _speaker_statistics(self, round: int, data: Data, relevance: float) -> tuple[Tensor, Tensor]:
        groups = int(self.group.max()) + 1
        count = total = square = torch.zeros(())
        for index, x in data.everything():
            h, valid = self.described(round, index, x)
            rows, group = h[valid].double(), self.group[index][:, None].expand_as(valid)[valid]
            zero = rows.new_zeros(groups, rows.shape[1])
            count = count + zero[:, :1].index_add(0, group, torch.ones_like(rows[:, :1]))
            total, square = total + zero.index_add(0, group, rows), square + zero.index_add(0, group, rows.square())
        average = [relevance * s.sum(dim=0) / count.sum() for s in (total, square)]
        mean, second = ((s + a) / (count + relevance) for s, a in zip((total, square), average, strict=True))
        return mean.float(), (second - mean.square()).clamp_min(1e-6).sqrt().float()

    def described(self, round: int, index: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        h, valid = super().described(round, index, x)
        if self._speakers is not None:
            mean, deviation = (s[self.group[index]][:, None] for s in self._speakers)
            h = (h - mean) / deviation
        return h, valid

    @torch.no_grad()
    def voice(self, x: Tensor, u: Tensor) -> Tensor:
        """The recordings x (B, T) in other voices, equally loud, by the uniforms u (B, 26)."""
        factor = torch.tensor(self.factors, device=x.device) ** (u[:, :3] * (u[:, 3:6] < 0.5).float().mul(2).sub(1))
        bands = len(BANDS)
        decibels, quality = self.equaliser * (2 * u[:, 6 : 6 + bands] - 1), 2 * 2.5 ** u[:, 6 + bands :]
        y = equalise(change_voice(x, factor[:, 0], factor[:, 1], factor[:, 2]), decibels, quality)
        power, before = (w.nan_to_num().square().sum(dim=1, keepdim=True) for w in (y, x))
        return y * (before / power.clamp_min(1e-12)).sqrt()

    def spoken_by(self, x: Tensor) -> Tensor:
        """What is known of the speakers of x (B, T): (B, 2 n_mels)."""
        mel, valid = self.mel(x)
        frames = mel.transpose(1, 2)
        mean = mean_of(frames, valid)
        return torch.cat([mean, mean_of((frames - mean[:, None]).square(), valid).sqrt()], dim=1)

    def loss(self, batch: Batch) -> Step:
        (x,) = batch
        n = self.units.shape[1]
        voices = torch.cat([self.voice(x, batch.uniform(f"voice {i}", 6 + 2 * len(BANDS))) for i in range(2)])
        heard = self.heard(voices, batch.uniform("mask", n).repeat(2, 1))
        h = heard.states[-1]
        if self.speaker is not None:
            s = self.speaker(self.spoken_by(x)).repeat(2, 1)
            for block in self.predictor:
                h = block(h, s, heard.valid)
        units = self.unit_loss(self.final_norm(h), heard, self.labels(batch).repeat(2, 1))
        terms = {"units": units, "features": heard.penalty}
        loss = units + self.penalty * heard.penalty
        if self.contrast_head is not None:
            terms["contrast"] = self.contrast_loss(heard, batch.uniform("negatives", n * self.negatives).unflatten(1, (n, -1)))
            loss = loss + self.contrast * self.round_progress(batch) * terms["contrast"]
        pooled = mean_of(heard.states[-1], heard.valid).chunk(2)
        return Step(loss, z=pooled, h=pooled, terms=terms)

    def contrast_loss(self, heard: Heard, u: Tensor) -> Tensor:
        """Finds seen frames in the other voice; negatives are drawn by the uniforms u (B, N, negatives)."""
        assert self.contrast_head is not None
        layer = round((len(heard.states) - 1) * 5 / 6) if self.contrast_layer is None else self.contrast_layer
        y1, y2 = self.contrast_head(heard.states[layer]).chunk(2)
        seen = (heard.valid & ~heard.mask)[: len(y1)]
        return frame_contrast(y1, y2, seen, other_frames(u, seen))
