"""emotion2vec."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ipse import randomness
from ipse.losses.regression import frame_regression
from ipse.models import Encoder
from ipse.models.ema import risen
from ipse.models.norm import layer_norm
from ipse.models.spans import chosen_positions, span_mask
from ipse.models.speech import TokenEncoder
from ipse.models.targets import FrameTeacher
from ipse.models.tokens import mean_of, put_at, tokens_at
from ipse.training import Batch, Method, Recipe, Step
from ipse.transforms import Original

_TOKENS = {"token": 1, "chunk": 10, "global": 0}


class Student(NamedTuple):
    """What the student makes of the frames that it sees."""

    utterance: Tensor  # (B, width)
    known: Tensor  # (B, K, width): the frames
    positions: Tensor  # int64 (B, K): where they stand
    there: Tensor  # bool (B, K): which of them there are


class Emotion2Vec(Method):
    """Paints a teacher's features of hidden frames, and tells their mean over the utterance from tokens of its own.

        L = mean over hidden t of ||yhat_t - Y_t||^2 / sqrt(d) + alpha ||u - mean over all t of Y_t||^2 / sqrt(d)

    Y: the mean of the teacher's last `top` perceptrons, each normalised over time, then over its channels; the teacher sees
    everything. The student's transformer gets only what is not hidden; light convolutions paint the rest, yhat. Each clip is hidden
    in `masks` ways for one pass of the teacher. Without alpha that is data2vec 2.0 (arXiv:2212.07525).
    utterance: where u comes from: the mean of 10 learned tokens (chunk), of one (token), or of the student's frames (global).
    masked, span: as in `wav2vec2`.  The teacher shares the student's front end; its decay rises in a straight line.

    Ma et al., Findings of ACL 2024, arXiv:2312.15185
    """

    sees = Original()
    recipe = Recipe(lr=5e-4, weight_decay=0.01, warmup=0.05)
    modalities = ("audio",)
    needs_tokens = True
    usual_encoder = "wave_transformer"
    encoder: TokenEncoder
    noise: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        alpha: float = 1.0,
        utterance: Literal["chunk", "token", "global"] = "chunk",
        masks: int = 8,
        masked: float = 0.5,
        span: int = 5,
        top: int = 8,
        decay: float = 0.999,
        final_decay: float = 0.99999,
        depth: int = 4,
        kernel: int = 7,
    ):
        super().__init__(encoder)
        self.utterance_tokens = nn.Parameter(0.02 * torch.randn(_TOKENS[utterance], encoder.dim))
        self.utterance_tokens.requires_grad_(utterance != "global")
        self.painter = _Painter(encoder.dim, depth, kernel)
        self.teacher = FrameTeacher(self.encoder, top)
        noise = randomness.normal(randomness.key("hidden frames"), torch.arange(_ROWS), encoder.dim)
        self.register_buffer("noise", 0.01 * noise, persistent=False)
        self.alpha, self.masks, self.masked, self.span = alpha, masks, masked, span
        self.decay, self.final_decay = decay, final_decay

    def loss(self, batch: Batch) -> Step:
        (x,) = batch
        frames, valid = self.encoder.frames(x)
        targets = self.targets(frames, valid)
        mask = self.hide(batch, valid)
        frames, valid_each, targets_each = (t.repeat_interleave(self.masks, dim=0) for t in (frames, valid, targets))
        u, known, positions, there = self.student(frames, valid_each & ~mask)
        hidden = self.hidden_frames(batch, valid)
        painted = self.painter(put_at(hidden, known, positions, there), valid_each)
        terms = {"frames": frame_regression(painted, targets_each, mask)}
        if self.alpha:
            whole = mean_of(targets, valid).repeat_interleave(self.masks, dim=0)
            terms["utterance"] = self.alpha * frame_regression(u, whole, valid_each.any(dim=1))
        pooled = mean_of(known, there).unflatten(0, (-1, self.masks)).mean(dim=1)
        return Step(torch.stack(list(terms.values())).sum(), z=(pooled,), h=(pooled,), terms=terms)

    def targets(self, frames: Tensor, valid: Tensor) -> Tensor:
        """What the teacher makes of all frames: (B, N, width), 0 behind the sound."""
        tokens = self.encoder.positioned(frames.detach(), valid)
        return layer_norm(self.teacher(tokens, valid)).masked_fill(~valid[..., None], 0)

    def hide(self, batch: Batch, valid: Tensor) -> Tensor:
        """What is hidden of each clip, in `masks` ways one after the other: bool (B * masks, N)."""
        n = valid.shape[1]
        u = batch.uniform("span", self.masks * n).view(-1, n)
        return span_mask(u, valid.repeat_interleave(self.masks, dim=0), self.masked, self.span)

    def student(self, frames: Tensor, seen: Tensor) -> Student:
        """What the student makes of the frames (B, N, width) that are `seen`, bool (B, N)."""
        positions, there = chosen_positions(seen)
        kept = tokens_at(self.encoder.positioned(frames, seen), positions)
        own = self.utterance_tokens.to(kept.dtype).expand(len(kept), -1, -1)
        n = own.shape[1]
        h = self.encoder.blocks(torch.cat([own, kept], dim=1), F.pad(there, (n, 0), value=True))
        known = h[:, n:]
        return Student(h[:, :n].mean(dim=1) if n else mean_of(known, there), known, positions, there)

    def hidden_frames(self, batch: Batch, valid: Tensor) -> Tensor:
        """Faint noise in the place of every frame: (B * masks, N, width)."""
        n = valid.shape[1]
        row = (batch.uniform("noise", self.masks * n) * _ROWS).long().view(-1, n)
        return self.noise[row]

    def after_step(self, batch: Batch) -> None:
        self.teacher.update(self.encoder, risen(self.decay, self.final_decay, batch.progress))


_ROWS = 4096  # of a fixed table of noise: fresh normal numbers for every frame would cost more than the painter


class _Painter(nn.Module):
    """Grouped convolutions over time, each normalised and added to what it is given, with nothing behind the end of the sound."""

    def __init__(self, width: int, depth: int, kernel: int, groups: int = 16):
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv1d(width, width, kernel, padding="same", groups=groups) for _ in range(depth))
        self.project = nn.Linear(width, width)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        x = x * valid[..., None]
        for convolution in self.convolutions:
            h = convolution(x.transpose(1, 2)).transpose(1, 2)
            x = (x + F.gelu(layer_norm(h))) * valid[..., None]
        out: Tensor = self.project(x)
        return out
