from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import lfilter, sosfilt
from torch import Tensor

from ipse.transforms.voice import BANDS, change_voice, equalise, pitch_of

RATE = 16_000


def voice(hertz: float, formants: tuple[float, ...] = (600, 2000), vibrato: float = 0.0, n: int = RATE) -> Tensor:
    """Pulses through resonances: (1, n)."""
    time = np.arange(n) / RATE
    phase = np.cumsum(hertz * (1 + vibrato * np.sin(2 * np.pi * 3 * time))) / RATE
    x = (np.diff(np.floor(phase), prepend=0) > 0).astype(float)
    for formant in formants:
        r = math.exp(-math.pi * 80 / RATE)
        x = lfilter([1], [1, -2 * r * math.cos(2 * math.pi * formant / RATE), r * r], x)
    return torch.from_numpy(0.5 * x / np.abs(x).max()).float()[None]


def envelope(x: Tensor) -> NDArray[np.float64]:
    """The mean cepstral envelope in dB, 257 frequencies."""
    power = torch.fft.rfft(x[0].unfold(0, 512, 160) * torch.hann_window(512)).abs().square()
    cepstrum = torch.fft.irfft(torch.log(power + 1e-7))
    quefrency = torch.arange(512)
    return np.asarray(torch.fft.rfft(cepstrum * (quefrency.minimum(512 - quefrency) < 32)).real.mean(dim=0))


def stretch(x: Tensor, y: Tensor) -> float:
    """By which factor the envelope of x, up to 3 kHz, has to be stretched to be most like that of y."""
    place, before, after = np.arange(5, 97), envelope(x), envelope(y)[5:97]
    factors = np.arange(0.5, 2, 0.01)
    likeness = [np.corrcoef(np.interp(place / f, np.arange(257), before), after)[0, 1] for f in factors]
    return float(factors[int(np.argmax(likeness))])


def one(value: float = 1.0) -> Tensor:
    return torch.tensor([value])


def ended(x: Tensor, n: int) -> Tensor:
    return x.masked_fill(torch.arange(x.shape[1]) >= n, torch.nan)


class TestEqualise:
    def test_no_gain_changes_nothing(self) -> None:
        x = ended(torch.randn(2, 4_000), 3_000)
        y = equalise(x, torch.zeros(2, 10), 2 + 3 * torch.rand(2, 10))
        torch.testing.assert_close(y, x, atol=1e-5, rtol=0, equal_nan=True)

    def test_equals_the_filters_one_after_the_other(self) -> None:
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(3, 4_000, generator=generator)
        decibels = 24 * torch.rand(3, 10, generator=generator) - 12
        quality = 2 + 3 * torch.rand(3, 10, generator=generator)
        expected = np.stack(
            [sosfilt(sections(g, q), w) for g, q, w in zip(*(t.double().numpy() for t in (decibels, quality, x)), strict=True)]
        )
        np.testing.assert_allclose(equalise(x, decibels, quality).numpy(), expected, atol=2e-3)

    def test_a_peak_is_as_high_as_it_says(self) -> None:
        decibels = torch.zeros(1, 10)
        decibels[0, 5] = 9.0
        x = torch.sin(2 * torch.pi * BANDS[5] * torch.arange(32_000.0) / RATE)[None]
        y = equalise(x, decibels, torch.full((1, 10), 3.0))
        gain = y[0, 8_000:24_000].square().mean() / x[0, 8_000:24_000].square().mean()
        assert 10 * math.log10(gain) == pytest.approx(9.0, abs=0.02)


def sections(decibels: NDArray[np.float64], quality: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cookbook's filters as second-order sections."""
    rows = []
    for i, (g, q) in enumerate(zip(decibels, quality, strict=True)):
        a, w = 10 ** (g / 40), 2 * math.pi * BANDS[i] / RATE
        c, s = math.cos(w), math.sin(w) / (2 * q)
        if 0 < i < 9:
            row = [1 + s * a, -2 * c, 1 - s * a, 1 + s / a, -2 * c, 1 - s / a]
        else:
            e, t = (1 if i == 0 else -1), 2 * math.sqrt(a) * s
            up, down = a + 1, a - 1
            row = [a * (up - e * down * c + t), e * 2 * a * (down - e * up * c), a * (up - e * down * c - t)]
            row += [up + e * down * c + t, -e * 2 * (down + e * up * c), up + e * down * c - t]
        rows.append([v / row[3] for v in row])
    return np.array(rows)


class TestPitch:
    @pytest.mark.parametrize("hertz", [80.0, 131.0, 250.0, 370.0])
    def test_of_a_voice(self, hertz: float) -> None:
        pitch = pitch_of(voice(hertz))
        assert pitch.median.item() == pytest.approx(hertz, rel=0.01)
        assert (pitch.hertz > 0).float().mean() > 0.9

    def test_noise_and_silence_have_none(self) -> None:
        noise = 0.1 * torch.randn(1, RATE, generator=torch.Generator().manual_seed(0))
        assert (pitch_of(noise).hertz > 0).float().mean() < 0.1
        assert not pitch_of(torch.zeros(1, RATE)).hertz.any()
        assert pitch_of(torch.zeros(1, RATE)).median.item() == 0


class TestChangeVoice:
    def test_factors_of_one_change_nothing(self) -> None:
        x = ended(voice(120, vibrato=0.1), 15_000)
        torch.testing.assert_close(change_voice(x, one(), one(), one()), x, atol=1e-5, rtol=0, equal_nan=True)

    @pytest.mark.parametrize("factor", [0.6, 1.5])
    def test_pitch_moves_and_formants_stay(self, factor: float) -> None:
        x = voice(140)
        y = change_voice(x, one(), one(factor), one())
        assert pitch_of(y).median.item() == pytest.approx(140 * factor, rel=0.02)
        assert stretch(x, y) == pytest.approx(1, abs=0.06)

    @pytest.mark.parametrize("factor", [0.8, 1.3])
    def test_formants_move_and_pitch_stays(self, factor: float) -> None:
        x = voice(110)
        y = change_voice(x, one(factor), one(), one())
        assert pitch_of(y).median.item() == pytest.approx(110, rel=0.02)
        assert stretch(x, y) == pytest.approx(factor, abs=0.06)

    def test_liveliness(self) -> None:
        x = voice(150, vibrato=0.1)

        def spread(w: Tensor) -> float:
            hertz = pitch_of(w).hertz[0, 10:-10]
            return float((hertz - hertz.median()).abs().median())

        assert spread(change_voice(x, one(), one(), one(1.5))) == pytest.approx(1.5 * spread(x), rel=0.2)
        assert spread(change_voice(x, one(), one(), one(0.5))) == pytest.approx(0.5 * spread(x), rel=0.2)

    def test_nothing_moves_in_time(self) -> None:
        x = voice(120) * (torch.arange(RATE) // 2_000 % 2)
        y = change_voice(x, one(1.3), one(1.6), one())

        def loud(w: Tensor) -> Tensor:
            power = w[0].unfold(0, 320, 320).square().mean(dim=1)
            return power > 0.05 * power.max()

        assert y.shape == x.shape
        assert (loud(y) == loud(x)).float().mean() > 0.85
        assert torch.corrcoef(torch.stack([loud(x).float(), loud(y).float()]))[0, 1] > 0.75

    def test_each_clip_by_itself(self) -> None:
        x = torch.cat([voice(120), voice(220)])
        factors = [torch.tensor([1.2, 0.8]), torch.tensor([0.7, 1.5]), torch.tensor([1.0, 1.3])]
        both = change_voice(x, *factors)
        torch.testing.assert_close(change_voice(x[1:], *(f[1:] for f in factors)), both[1:], atol=1e-5, rtol=0)

    @pytest.mark.parametrize("n", [0, 1, 100, 3_000])
    def test_clips_that_end(self, n: int) -> None:
        x = ended(voice(120, n=3_000), n)
        y = change_voice(x, one(1.3), one(0.6), one(1.2))
        assert torch.equal(y.isnan(), x.isnan())
        assert y[0, :n].isfinite().all()
