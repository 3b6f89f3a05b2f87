from __future__ import annotations

import numpy as np
import scipy.fft
import torch

from ipse.models.mel import Mel
from ipse.models.mfcc import MFCC, delta
from ipse.models.speech import MelTransformer

AUDIO = {"modality": "audio", "rate": 16_000, "samples": 8_000}


def noise(b: int = 2, n: int = 8_000) -> torch.Tensor:
    return 0.1 * torch.randn(b, n, generator=torch.Generator().manual_seed(0))


def test_coefficients_are_liftered_cosine_transforms_of_log_mels() -> None:
    x = noise()
    mel = Mel(23)
    log = mel(x)[0].transpose(1, 2).double().numpy() * mel.scale
    expected = scipy.fft.dct(log, norm="ortho")[..., :13] * (1 + 11 * np.sin(np.pi * np.arange(13) / 22))
    features, valid = MFCC()(x)
    assert features.shape == (2, 48, 39)
    assert valid.all()
    np.testing.assert_allclose(features[..., :13].numpy(), expected, atol=2e-3)
    torch.testing.assert_close(features[..., 13:26], delta(features[..., :13], valid))
    torch.testing.assert_close(features[..., 26:], delta(features[..., 13:26], valid))


def test_frames_are_those_of_the_encoder() -> None:
    x = noise(3, 7_777)
    x[1, 5_000:], x[2, 100:] = torch.nan, torch.nan
    encoder = MelTransformer(AUDIO, width=16, depth=1, heads=2)
    features, valid = MFCC(stride=encoder.stride)(x)
    assert features.shape[:2] == encoder.dense(x).shape[:2]
    assert torch.equal(valid, encoder.valid(x))
    assert not features[~valid].any()


def test_what_is_behind_the_end_changes_nothing() -> None:
    x = noise(1, 6_000)
    padded = torch.cat([x, torch.full((1, 2_000), torch.nan)], dim=1)
    short, long = MFCC()(x)[0], MFCC()(padded)[0]
    torch.testing.assert_close(long[:, : short.shape[1]], short)


def test_the_slope_of_a_line_is_constant() -> None:
    line = 3 * torch.arange(9.0).view(1, 9, 1)
    assert delta(line, torch.ones(1, 9).bool())[0, 2:-2, 0].tolist() == [3.0] * 5
