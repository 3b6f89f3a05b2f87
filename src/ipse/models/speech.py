"""Encoders of recordings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ipse.data import Form
from ipse.errors import UserError
from ipse.models.encoder import Encoder
from ipse.models.mel import Mel, frames_valid, sound_length
from ipse.models.norm import BatchNorm
from ipse.models.tokens import Block, mean_of, on_a_line

_WINDOW = 400  # 25 ms at 16 kHz: what one frame of every encoder here is of, at least


class FrameEncoder(Encoder):
    """An encoder of waves (B, T) by frames, `stride` samples apart; the embedding is the mean of those that are of sound.

    NaN behind the end of a clip changes nothing: what would be frames there are 0 in `dense`, and left out of all else.
    """

    stride: int
    window = _WINDOW

    def layers(self, x: Tensor) -> list[Tensor]:
        """The hidden states (B, N, width) that `dense` is the last of."""
        return [self.dense(x)]

    def forward(self, x: Tensor) -> Tensor:
        return mean_of(self.dense(x), self.valid(x))

    def valid(self, x: Tensor) -> Tensor:
        """Which frames are of sound: bool (B, N)."""
        n = max(0, x.shape[1] - self.window) // self.stride + 1
        return frames_valid(sound_length(x), n, self.window, self.stride)


def centred(x: Tensor) -> Tensor:
    """Waves (B, T) less their means, 0 where they are NaN."""
    return (x - x.nanmean(dim=1, keepdim=True)).nan_to_num()


def with_gradient(x: Tensor, share: float) -> Tensor:
    """The same values, which pass on this share of the gradient that reaches them.

    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> y = with_gradient(x, 0.1)
    >>> y.backward()
    >>> y.item(), x.grad
    (3.0, tensor(0.1000))
    """
    return torch.lerp(x.detach(), x, share)


class Passed(NamedTuple):
    """What blocks make of tokens: lists of (B, M, width), 0 where a token was left out."""

    states: list[Tensor]  # depth + 1: what enters the first block and what comes out of each, the last normalised
    perceptrons: list[Tensor]  # depth: what the perceptron of each block gives before it is added


class TokenEncoder(FrameEncoder):
    """A transformer over frames, 50 a second: `tokens` are frames with their positions, NaN where they are not of sound.

    What hides frames takes its way apart: `features`, `frames`, `positioned`, and `passed` or `blocks`. A position that is a
    convolution sees the neighbours, so frames are hidden before it.
    """

    stride = 320
    mel: Mel

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the front end gives: (B, N, C), and which frames are of sound, bool (B, N)."""
        raise NotImplementedError

    def projected(self, features: Tensor) -> Tensor:
        """Features at the width of the transformer, normalised before: (B, N, C) to (B, N, width)."""
        raise NotImplementedError

    def positioned(self, frames: Tensor, valid: Tensor) -> Tensor:
        """Frames with their positions: (B, N, width) to the same."""
        raise NotImplementedError

    def passed(self, tokens: Tensor, valid: Tensor | None = None) -> Passed:
        """What each block makes of tokens (B, M, width); those that are NaN or not `valid` are left out."""
        raise NotImplementedError

    def frames(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Projected features, without positions: (B, N, width), and which are of sound, bool (B, N)."""
        features, valid = self.features(x)
        return self.projected(features), valid

    def tokens(self, x: Tensor) -> Tensor:
        frames, valid = self.frames(x)
        return self.positioned(frames, valid).masked_fill(~valid[..., None], torch.nan)

    def blocks(self, tokens: Tensor, valid: Tensor | None = None) -> Tensor:
        return self.passed(tokens, valid).states[-1]

    def layers(self, x: Tensor) -> list[Tensor]:
        """What enters the first block and what comes out of each: depth + 1 times (B, N, width)."""
        return self.passed(self.tokens(x)).states

    def dense(self, x: Tensor) -> Tensor:
        return self.blocks(self.tokens(x))

    def patches(self, x: Tensor) -> Tensor:
        """The log-mel frames that start within each token's stride: (B, N, 2 * n_mels), NaN behind the end of the sound."""
        mel, valid = self.mel(x)
        each = self.stride // self.mel.hop
        mel = mel.masked_fill(~valid[:, None], torch.nan).transpose(1, 2)
        mel = F.pad(mel, (0, 0, 0, -mel.shape[1] % each), value=torch.nan)
        return mel.reshape(len(x), -1, each * mel.shape[2])


class _Transformer(TokenEncoder):
    """The part that the front ends share: positions and blocks.

    reach: over how many frames the convolution that tells positions goes; 0: positions are sines and cosines.
    """

    def __init__(self, form: Form, mel: Mel, channels: int, width: int, depth: int, heads: int, reach: int):
        super().__init__()
        if width % heads or (reach and width % _GROUPS):
            what = f"{heads} heads" if width % heads else f"the {_GROUPS} groups of its positions"
            raise UserError(f"encoder {self.name} cannot share a width of {width} among {what}")
        self.form, self.mel, self.dim, self.depth, self.heads, self.reach = form, mel, width, depth, heads, reach
        self.frame_norm, self.project = nn.LayerNorm(channels), nn.Linear(channels, width)
        self.position = nn.Conv1d(width, width, reach, groups=_GROUPS) if reach else None
        if self.position is not None:
            nn.init.normal_(self.position.weight, std=(4 / (reach * width)) ** 0.5)
        self.stack = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def projected(self, features: Tensor) -> Tensor:
        out: Tensor = self.project(self.frame_norm(features))
        return out

    def positioned(self, frames: Tensor, valid: Tensor) -> Tensor:
        if self.position is None:
            return frames + on_a_line(frames.shape[1], self.dim).to(frames)
        known = frames.masked_fill(~valid[..., None], 0).transpose(1, 2)
        place = self.position(F.pad(known, (self.reach // 2, (self.reach - 1) // 2)))
        return frames + F.gelu(place).transpose(1, 2)

    def passed(self, tokens: Tensor, valid: Tensor | None = None) -> Passed:
        known = ~tokens.isnan().any(dim=-1)
        valid = known if valid is None else known & valid
        h = tokens.masked_fill(~valid[..., None], 0)
        states, perceptrons = [h], []
        for block in cast(Iterable[Block], self.stack):
            h = h + block.attention(block.norm1(h), valid)
            perceptrons.append(block.perceptron(block.norm2(h)))
            h = h + perceptrons[-1]
            states.append(h)
        states[-1] = self.norm(h)
        return Passed(*([h.masked_fill(~valid[..., None], 0) for h in each] for each in (states, perceptrons)))

    def options(self) -> dict[str, Any]:
        return {"width": self.dim, "depth": self.depth, "heads": self.heads, "reach": self.reach}


_GROUPS = 16


class WaveTransformer(_Transformer):
    """Strided convolutions on the wave, 20 ms apart, then transformer blocks with convolved positions: (B, T) to (B, width).

    The sizes of wav2vec 2.0 Base are conv=512, width=768, depth=12, heads=12, reach=128; unlike there, norms come before each part
    of a block. The first convolution's channels are normalised over the sound of each clip alone.

    Baevski et al., NeurIPS 2020, arXiv:2006.11477
    """

    name = "wave_transformer"

    def __init__(
        self, form: Form, conv: int = 128, width: int = 192, depth: int = 4, heads: int = 4, reach: int = 64, n_mels: int = 80
    ):
        super().__init__(form, Mel(n_mels, form["rate"]), conv, width, depth, heads, reach)
        self.conv = conv
        self.convolutions = nn.ModuleList(
            nn.Conv1d(conv if i else 1, conv, kernel, stride, bias=False)
            for i, (kernel, stride) in enumerate(zip(_KERNELS, _STRIDES, strict=True))
        )
        for layer in self.convolutions:
            nn.init.kaiming_normal_(layer.weight)  # type: ignore[arg-type]
        self.first_norm = ClipNorm(conv, conv)

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        samples = sound_length(x)
        h = F.pad(centred(x), (0, max(0, _WINDOW - x.shape[1])))[:, None]
        for i, layer in enumerate(self.convolutions):
            h = layer(h)
            if i == 0:
                h = self.first_norm(h, frames_valid(samples.clamp(min=_WINDOW), h.shape[2], _KERNELS[0], _STRIDES[0]))
            h = F.gelu(h)
        return h.transpose(1, 2), frames_valid(samples, h.shape[2], _WINDOW, self.stride)

    def options(self) -> dict[str, Any]:
        return super().options() | {"conv": self.conv, "n_mels": self.mel.n_mels}


_KERNELS, _STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)


class ClipNorm(nn.GroupNorm):
    """Normalises each channel over the sound of each clip: (B, C, T), free of NaN, and bool (B, T), to the same shape."""

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:  # type: ignore[override]
        with torch.autocast(x.device.type, enabled=False):
            h = x.float()
            share = valid / valid.sum(dim=1, keepdim=True).clamp_min(1)
            mean, square = (h @ share[..., None], h.square() @ share[..., None])
            scale = self.weight[:, None] * ((square - mean.square()).clamp_min(0) + self.eps).rsqrt()
            return torch.addcmul(self.bias[:, None] - mean * scale, h, scale).to(x.dtype)


class MelTransformer(_Transformer):
    """Log-mel frames, two convolutions that halve their number to 50 a second, transformer blocks: (B, T) to (B, width).

    The front end is Whisper's (Radford et al., 2022, arXiv:2212.04356).
    """

    name = "mel_transformer"

    def __init__(
        self,
        form: Form,
        n_mels: int = 80,
        width: int = 192,
        depth: int = 4,
        heads: int = 4,
        reach: int = 0,
        standardize: bool = False,
    ):
        super().__init__(form, Mel(n_mels, form["rate"], standardize), width, width, depth, heads, reach)
        self.first, self.second = nn.Conv1d(n_mels, width, 3, padding=1), nn.Conv1d(width, width, 3, 2, padding=1)

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mel, valid = self.mel(x)
        h = F.gelu(self.first(mel)) * valid[:, None]
        return F.gelu(self.second(h)).transpose(1, 2), valid[:, ::2]

    def options(self) -> dict[str, Any]:
        return super().options() | {"n_mels": self.mel.n_mels, "standardize": self.mel.standardize}


class MelConv(FrameEncoder):
    """Residual convolutions over log-mel spectrograms, on grids that halve from stage to stage: (B, T) to (B, dim).

    The first layer takes 4 x 4 places of the spectrogram at a time; at the end all frequencies of one time become one frame.
    """

    name = "mel_conv"

    def __init__(
        self, form: Form, widths: Sequence[int] = (32, 64, 128), n_mels: int = 64, dim: int = 128, standardize: bool = False
    ):
        super().__init__()
        self.form, self.dim, self.widths = form, dim, tuple(widths)
        self.mel = Mel(n_mels, form["rate"], standardize)
        self.step = 4 * 2 ** (len(self.widths) - 1)
        if n_mels % self.step:
            raise UserError(
                f"encoder mel_conv with {len(self.widths)} stages needs a multiple of {self.step} mels, not {n_mels}"
            )
        self.stride = self.mel.hop * self.step
        before = (1, *self.widths[:-1])
        self.stages = nn.ModuleList(
            _Stage(a, b, 2 if i else 4) for i, (a, b) in enumerate(zip(before, self.widths, strict=True))
        )
        self.project = nn.Linear(self.widths[-1] * n_mels // self.step, dim)

    def dense(self, x: Tensor) -> Tensor:
        mel, valid = self.mel(x)
        missing = -mel.shape[2] % self.step
        h, inside = F.pad(mel, (0, missing))[:, None], F.pad(valid, (0, missing))[:, None, None]
        for stage in self.stages:
            inside = inside[..., :: stage.step]
            h = stage(h, inside)
        out: Tensor = self.project(h.flatten(1, 2).transpose(1, 2))
        return out.masked_fill(~inside[:, 0, 0, :, None], 0)

    def options(self) -> dict[str, Any]:
        return {"widths": self.widths, "n_mels": self.mel.n_mels, "dim": self.dim, "standardize": self.mel.standardize}


class _Stage(nn.Module):
    """A convolution to a coarser grid and a residual pair, each with nothing but zeros behind the end of the sound."""

    def __init__(self, before: int, width: int, step: int):
        super().__init__()
        self.step = step
        self.down = nn.Conv2d(before, width, step + 2, step, padding=1, bias=False)
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(BatchNorm(width) for _ in range(3))

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        x = F.relu(self.norms[0](self.down(x))) * inside
        h = F.relu(self.norms[1](self.first(x))) * inside
        return F.relu(x + self.norms[2](self.second(h))) * inside
