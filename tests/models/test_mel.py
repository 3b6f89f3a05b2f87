from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ipse.models.mel import Mel, frames_valid, mel_bands, sound_length


def waves(n: int, samples: int) -> Tensor:
    return 0.1 * torch.randn(n, samples, generator=torch.Generator().manual_seed(samples))


def logs(mel: Mel, x: Tensor) -> Tensor:
    return mel(x)[0] * mel.scale + mel.mean


class TestLogMel:
    @pytest.mark.parametrize("n_mels", [40, 64, 80, 128])
    def test_is_librosas(self, n_mels):
        librosa = pytest.importorskip("librosa")
        x = waves(2, 4000)
        expected = librosa.feature.melspectrogram(
            y=x.numpy(), sr=16000, n_fft=400, hop_length=160, center=False, n_mels=n_mels, power=2.0
        )
        mel = Mel(n_mels)
        torch.testing.assert_close(logs(mel, x), torch.from_numpy(np.log(expected + mel.floor)).float(), atol=1e-3, rtol=1e-3)

    def test_one_frame_by_hand(self):
        x = waves(1, 400)
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
        power = np.abs(np.fft.rfft(x[0].numpy() * window)) ** 2
        expected = np.log(power @ mel_bands(40, 400, 16000).double().numpy() + 1e-8)
        np.testing.assert_allclose(logs(Mel(40), x)[0, :, 0].numpy(), expected, atol=1e-4)

    def test_a_tone_is_in_its_band(self):
        t = torch.arange(16000) / 16000
        for hertz in (320.0, 1000.0, 4000.0):
            loudest = Mel(80)(torch.sin(2 * torch.pi * hertz * t)[None])[0][0, :, 10].argmax()
            bands = mel_bands(80, 400, 16000)
            assert float(bands[round(hertz / 40), loudest]) == float(bands[round(hertz / 40)].max())

    def test_every_band_has_something_in_it(self):
        for n_mels in (40, 64, 80, 128):
            assert float(mel_bands(n_mels, 400, 16000).sum(dim=0).min()) > 0

    @pytest.mark.parametrize(("samples", "frames"), [(1, 1), (399, 1), (400, 1), (559, 1), (560, 2), (16000, 98)])
    def test_frames(self, samples, frames):
        mel, valid = Mel(40)(waves(2, samples))
        assert mel.shape == (2, 40, frames)
        assert bool(valid.all())


class TestPadding:
    @pytest.mark.parametrize("standardize", [False, True])
    def test_changes_nothing(self, standardize):
        mel, x = Mel(40, standardize=standardize), waves(3, 3000)
        padded = torch.cat([x, torch.full((3, 1500), torch.nan)], dim=1)
        short, (long, valid) = mel(x)[0], mel(padded)
        n = short.shape[2]
        torch.testing.assert_close(long[:, :, :n], short)
        assert float(long[:, :, n:].abs().max()) == 0
        assert valid.sum(dim=1).tolist() == [n] * 3

    def test_standardised_bands_have_mean_0_and_deviation_1(self):
        x = waves(3, 6000)
        x[0, 3000:] = torch.nan
        mel, valid = Mel(40, standardize=True)(x)
        for clip, known in zip(mel, valid, strict=True):
            torch.testing.assert_close(clip[:, known].mean(dim=1), torch.zeros(40), atol=1e-5, rtol=0)
            torch.testing.assert_close(clip[:, known].std(dim=1, correction=0), torch.ones(40), atol=1e-3, rtol=0)

    def test_a_clip_of_nothing(self):
        mel, valid = Mel(40, standardize=True)(torch.full((1, 1000), torch.nan))
        assert float(mel.abs().max()) == 0
        assert not bool(valid.any())

    def test_lengths_and_frames(self):
        x = torch.full((3, 1000), torch.nan)
        x[1, :300], x[2, :720] = 0.0, 0.0
        assert sound_length(x).tolist() == [0, 300, 720]
        assert frames_valid(sound_length(x), 4, 400, 160).int().tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0]]


def test_nothing_is_kept_with_the_weights() -> None:
    assert Mel().state_dict() == {}


def test_half_precision_is_left_to_others() -> None:
    x = waves(2, 2000)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(Mel(40)(x)[0], Mel(40)(x)[0].float())
        low = Mel(40)(x)[0]
    assert torch.equal(low, Mel(40)(x)[0])
