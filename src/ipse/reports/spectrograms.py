"""Spectrograms as small pictures."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ipse.data import Samples
from ipse.models.mel import Mel

RANGE = 70.0  # decibels from black to the brightest
QUIETEST = -40.0  # decibels: what never gets as loud is not shown as bright
BEHIND = (118, 116, 122)  # behind the end of a clip

# Lightness grows evenly along these, as in the map "magma" of van der Walt and Smith, so that no edge is seen where there is none.
_COLOURS = np.array(
    [
        (0, 0, 4),
        (28, 16, 68),
        (79, 18, 123),
        (129, 37, 129),
        (181, 54, 122),
        (229, 80, 100),
        (251, 135, 97),
        (254, 194, 135),
        (252, 253, 191),
    ],
    dtype=np.float64,
)


def spectrograms(samples: Samples, height: int, width: int) -> NDArray[np.uint8]:
    """Log-mel spectrograms (N, height, width, 3) of waves, low tones at the bottom, all over the same time.

    Each from 70 dB below its loudest place, black, to there; grey behind the end of a short clip.
    """
    mel = Mel(height)
    pictures = [np.zeros((0, height, width, 3), np.uint8)]
    for index in torch.arange(len(samples)).split(32):
        raw = samples.read(index)
        level, known = _levels(mel, raw["x"], raw["length"], width)
        picture = colours(level.flip(1).numpy())
        picture[(~known)[:, None].expand_as(level).numpy()] = BEHIND
        pictures.append(picture)
    return np.concatenate(pictures)


def colours(level: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Levels from 0, black, to 1, nearly white, as colours (..., 3).

    >>> colours(np.array([0.0, 1.0])).tolist()
    [[0, 0, 4], [252, 253, 191]]
    """
    place = np.linspace(0, 1, len(_COLOURS))
    rgb = np.stack([np.interp(level, place, channel) for channel in _COLOURS.T], axis=-1)
    return np.asarray(rgb.round(), dtype=np.uint8)


@torch.no_grad()
def _levels(mel: Mel, x: Tensor, length: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Levels (B, n_mels, width) from 0 to 1, and where there is sound (B, width)."""
    wave = (x.float() / 32768).masked_fill(torch.arange(x.shape[1]) >= length[:, None], torch.nan)
    log, valid = mel(wave)
    sound = valid[:, None].float()
    share = F.adaptive_avg_pool1d(sound, width)
    power = F.adaptive_avg_pool1d(log * sound, width) / share.clamp_min(1e-6)
    decibels = 10 / math.log(10) * (power * mel.scale + mel.mean)
    decibels = decibels.masked_fill(share == 0, -torch.inf)
    top = decibels.amax(dim=(1, 2), keepdim=True).clamp_min(QUIETEST)
    black = (top - RANGE).clamp_min(10 * math.log10(mel.floor))
    return ((decibels - black) / (top - black)).clamp(0, 1), share[:, 0] >= 0.5
