"""Log-mel spectrograms."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Mel(nn.Module):
    """Logarithms of the power in bands of the mel scale: waves (B, T) to (B, n_mels, M), and which frames are of sound, bool (B, M).

        log(mel |STFT|^2 + floor),  then less `mean` and divided by `scale`

    Windows of 25 ms (Hann) every 10 ms, none of which reaches over the ends: M = (T - 400) // 160 + 1, at least 1. The bands are
    Slaney's, each of equal area, as librosa's by default. NaN behind the end of a clip counts as silence; frames there are 0.
    standardize: over the frames of sound of each clip, every band gets mean 0 and deviation 1; else `mean` and `scale` are
    those of speech at usual loudness.
    """

    window: Tensor
    bands: Tensor
    floor, mean, scale = 1e-8, -10.0, 5.0

    def __init__(self, n_mels: int = 80, rate: int = 16_000, standardize: bool = False):
        super().__init__()
        self.n_mels, self.standardize = n_mels, standardize
        self.hop, self.length = rate // 100, rate // 40
        self.register_buffer("window", torch.hann_window(self.length), persistent=False)
        self.register_buffer("bands", mel_bands(n_mels, self.length, rate), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(x.device.type, enabled=False):  # powers span more than bf16 tells apart
            samples = sound_length(x)
            x = F.pad(x.float().nan_to_num(), (0, max(0, self.length - x.shape[1])))
            spectrum = torch.fft.rfft(x.unfold(1, self.length, self.hop) * self.window)
            power = spectrum.real.square() + spectrum.imag.square()
            log = torch.log(power @ self.bands + self.floor)
        valid = frames_valid(samples, log.shape[1], self.length, self.hop)
        return self._normalised(log, valid[..., None]).masked_fill(~valid[..., None], 0).transpose(1, 2), valid

    def _normalised(self, log: Tensor, valid: Tensor) -> Tensor:
        if not self.standardize:
            return (log - self.mean) / self.scale
        n = valid.sum(dim=1, keepdim=True).clamp_min(1)
        centred = (log - (log * valid).sum(dim=1, keepdim=True) / n) * valid
        return centred / (centred.square().sum(dim=1, keepdim=True) / n + 1e-5).sqrt()


def sound_length(x: Tensor) -> Tensor:
    """How many samples of each wave (B, T) are sound: int64 (B,); NaN is only behind them."""
    return x.isnan().logical_not().sum(dim=1)


def frames_valid(samples: Tensor, n: int, window: int, hop: int) -> Tensor:
    """Which of n frames lie in the sound (B,): bool (B, n); of a clip shorter than a window, the first."""
    count = (samples - window).div(hop, rounding_mode="floor").clamp(min=0) + 1
    return torch.arange(n, device=samples.device) < (count * (samples > 0))[:, None]


def mel_bands(n_mels: int, window: int, rate: int) -> Tensor:
    """Triangles of equal area between neighbouring mels: (window // 2 + 1, n_mels).

    Slaney's scale is linear up to 1 kHz, at 200 / 3 Hz a mel, and logarithmic above, at 27 mels for a factor of 6.4.
    """
    top = 15 + 27 * math.log(rate / 2 / 1000) / math.log(6.4)
    mels = torch.linspace(0, top, n_mels + 2, dtype=torch.float64)
    edges = torch.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))
    hertz = torch.arange(window // 2 + 1, dtype=torch.float64)[:, None] * rate / window
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = torch.minimum((hertz - low) / (middle - low), (high - hertz) / (high - middle)).clamp(min=0)
    return (triangles * 2 / (high - low)).float()
