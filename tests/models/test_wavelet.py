from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ipse.models.wavelet import Morlet, spectrum


def wave(period: float, length: int = 256) -> torch.Tensor:
    return torch.sin(2 * math.pi * torch.arange(length) / period)[None, None]


class TestSpectrum:
    @pytest.mark.parametrize("length", [31, 32])
    def test_it_is_undone_and_keeps_the_energy(self, length: int) -> None:
        x = torch.randn(4, 2, length)
        amplitude, phase = spectrum(x)
        assert amplitude.shape == phase.shape == (4, 2, length // 2 + 1)
        torch.testing.assert_close(
            torch.fft.irfft(torch.polar(amplitude, phase), n=length, norm="ortho"), x, rtol=1e-5, atol=1e-6
        )
        twice = torch.full((length // 2 + 1,), 2.0)
        twice[0] = 1
        if length % 2 == 0:
            twice[-1] = 1
        torch.testing.assert_close((twice * amplitude**2).sum(-1), (x**2).sum(-1))

    def test_missing_values_and_half_precision(self) -> None:
        x = torch.randn(2, 1, 16)
        x[..., 10:] = torch.nan
        amplitude, phase = spectrum(x.bfloat16())
        assert amplitude.isfinite().all()
        assert phase.isfinite().all()


class TestMorlet:
    def test_equals_the_slow_version(self) -> None:
        """The definition, summed over time."""
        x = torch.randn(2, 2, 40)
        scales = (1.0, 2.0, 3.3, 7.5, 12.0)
        out = Morlet(40, scales)(x)
        t = np.arange(40)
        for i, a in enumerate(scales):
            lag = (t[None, :] - t[:, None]) / a  # (u - t) / a
            psi = np.exp(2j * np.pi * lag - lag**2) / np.sqrt(np.pi)
            expected = abs(x.numpy() @ psi.conj().T) / np.sqrt(a)
            np.testing.assert_allclose(out[:, :, i].numpy(), expected, atol=1e-5)

    @pytest.mark.parametrize("period", [5, 16, 40])
    def test_a_wave_is_found_at_its_period(self, period: int) -> None:
        transform = Morlet(256)
        assert len(transform.scales) == 48
        assert (transform.scales[0], round(transform.scales[-1])) == (2, 128)
        out = transform(wave(period))[0, 0, :, 128] / torch.tensor(transform.scales).sqrt()
        assert transform.scales[int(out.argmax())] == pytest.approx(period, rel=0.1)

    def test_a_click_is_found_at_its_time_and_does_not_come_round_to_the_other_end(self) -> None:
        x = torch.zeros(1, 1, 200)
        x[..., 190] = 1
        out = Morlet(200, scales=(2.0, 20.0, 45.0))(x)
        assert out.argmax(-1).eq(190).all()
        assert out[..., 0, :20].max() < 1e-6
        assert out[..., 2, 0].max() < 1e-6

    def test_missing_values_short_series_and_half_precision(self) -> None:
        x = torch.randn(2, 3, 7).bfloat16()
        x[0, 0, 3] = torch.nan
        with torch.autocast("cpu", torch.bfloat16):
            out = Morlet(7)(x)
        assert out.shape == (2, 3, 48, 7)
        assert out.isfinite().all()
        torch.testing.assert_close(Morlet(7)(x), Morlet(7)(x.nan_to_num()))
        assert not Morlet(64).state_dict()
