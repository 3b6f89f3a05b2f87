"""Mel-frequency cepstral coefficients."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ipse.models.mel import Mel


class MFCC(nn.Module):
    """What clusters of sounds are first made of: waves (B, T) to (B, N, 3 * coefficients), and which frames are of sound, bool (B, N).

        c_k = (1 + 11 sin(pi k / 22)) sum over bands j of cos(pi k (j + 1/2) / bands) log mel_j,
        d_t = sum over n = 1, 2 of n (c_{t+n} - c_{t-n}) / 10

    and the same once more of d: 39 numbers a frame. Windows are those of `Mel`, `stride` samples apart; NaN behind the end of a
    clip is left out, frames there are 0. Beyond the ends the first and the last frame go on.

    Davis & Mermelstein, IEEE TASSP 1980; the weights in front are those of HTK and Kaldi.
    """

    cosines: Tensor

    def __init__(self, rate: int = 16_000, stride: int = 160, coefficients: int = 13, n_mels: int = 23):
        super().__init__()
        self.mel = Mel(n_mels, rate)
        self.step = max(1, stride // self.mel.hop)
        k, j = torch.arange(coefficients)[:, None], torch.arange(n_mels)
        scale = math.sqrt(2 / n_mels) * (1 + 11 * torch.sin(math.pi * k / 22)) * torch.where(k == 0, math.sqrt(0.5), 1.0)
        self.register_buffer("cosines", scale * torch.cos(math.pi * k * (j + 0.5) / n_mels), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mel, valid = self.mel(x)
        c = self.mel.scale * (self.cosines @ mel).transpose(1, 2)
        first = delta(c, valid)
        features = torch.cat([c, first, delta(first, valid)], dim=2)
        return (features * valid[..., None])[:, :: self.step], valid[:, :: self.step]


def delta(c: Tensor, valid: Tensor, reach: int = 2) -> Tensor:
    """The slope at each frame of the line through it and its neighbours: (B, N, D) to the same.

    valid: bool (B, N), True up to some frame, which stands for those behind it.

    >>> c = torch.arange(6.0).square().view(1, 6, 1)
    >>> delta(c, torch.ones(1, 6).bool()).flatten()
    tensor([0.9000, 2.2000, 4.0000, 6.0000, 5.8000, 4.1000])
    """
    last = (valid.sum(dim=1, keepdim=True) - 1).clamp_min(0)
    place = torch.arange(c.shape[1], device=c.device)
    slope = torch.zeros_like(c)
    for n in range(1, reach + 1):
        for sign in (-1, 1):
            index = (place + sign * n).clamp_min(0).minimum(last)
            slope = slope + sign * n * c.gather(1, index[..., None].expand_as(c))
    return slope / sum(2 * n * n for n in range(1, reach + 1))
