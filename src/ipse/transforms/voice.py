"""Other voices that say the same: changes of formants, pitch and equalisation that move nothing in time.

Waves are (B, T), NaN behind the end of a clip, and so is what comes back. What is drawn at random is an input.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ipse.data.form import RATE

BANDS = tuple(60 * (7600 / 60) ** (i / 9) for i in range(10))  # Hz


def equalise(x: Tensor, decibels: Tensor, quality: Tensor, bands: tuple[float, ...] = BANDS, rate: int = RATE) -> Tensor:
    """A parametric equaliser: a low shelf at the first band, peaks at the others, a high shelf at the last, in a row.

    decibels: the gain of each band, (B, bands), 0 for none. quality: how narrow each is, (B, bands). bands: Hz. The filters'
    complex responses are multiplied with the spectrum, which is what running them one after the other gives.

    Bristow-Johnson, "Cookbook formulae for audio equalizer biquad filter coefficients"

    >>> x = torch.sin(torch.arange(800.0))[None]
    >>> torch.allclose(equalise(x, torch.zeros(1, 10), torch.full((1, 10), 2.0)), x, atol=1e-5)
    True
    """
    known = x.nan_to_num()
    n = known.shape[1] + rate // 4  # by then the narrowest filter has died away
    n += n % 2
    response = _equaliser(decibels, quality, bands, rate, n)
    y: Tensor = torch.fft.irfft(torch.fft.rfft(known, n) * response, n)[:, : x.shape[1]]
    return y.masked_fill(x.isnan(), torch.nan)


def _equaliser(decibels: Tensor, quality: Tensor, bands: tuple[float, ...], rate: int, n: int) -> Tensor:
    """The response (B, n // 2 + 1) of all filters together, each of which is divided by z to be real but for the sines."""
    omega = 2 * math.pi * torch.tensor(bands, dtype=torch.float64, device=decibels.device) / rate
    w = 2 * math.pi * torch.arange(n // 2 + 1, dtype=torch.float64, device=decibels.device) / n
    c = omega.cos()[:, None]
    # Nearly equal cosines are told apart in double precision, once for all clips.
    distance, product, sine = ((w.cos() - c).float(), (1 - c * w.cos()).float(), w.sin().float())
    amplitude, alpha = 10 ** (decibels / 40), omega.sin().float() / (2 * quality)
    above = below = torch.ones(len(decibels), n // 2 + 1, dtype=torch.complex64, device=decibels.device)
    for i in range(len(bands)):
        a, s = amplitude[:, i, None], alpha[:, i, None]
        if 0 < i < len(bands) - 1:
            above = above * torch.complex(distance[i].expand_as(above), s * a * sine)
            below = below * torch.complex(distance[i].expand_as(above), s / a * sine)
        else:
            middle, tilt, turn = (a + 1) * distance[i], (a - 1) * product[i], 2 * a.sqrt() * s * sine
            tilt = tilt if i == 0 else -tilt  # a high shelf is a low one, mirrored
            above = above * torch.complex(a * (middle + tilt), a * turn)
            below = below * torch.complex(middle - tilt, turn)
    return above / below


class Pitch(NamedTuple):
    """The pitch at every 10 ms, the first at the beginning of the wave."""

    hertz: Tensor  # (B, J), 0 where there is none
    median: Tensor  # (B, 1), over the frames that have one


def pitch_of(x: Tensor, low: float = 60.0, high: float = 400.0, rate: int = RATE) -> Pitch:
    """Finds the pitch of voices, by the autocorrelation of 50 ms less that of their window.

    A frame has one if the correlation over a period is above 0.45 and it is less than 30 dB weaker than the loudest one.

    Boersma, Proceedings of the Institute of Phonetic Sciences 17, 1993

    >>> buzz = torch.sin(2 * torch.pi * 125 * torch.arange(8000) / 16000).sign()[None]
    >>> round(pitch_of(buzz).median.item())
    125
    """
    slow = F.avg_pool1d(x.nan_to_num()[:, None], 4)[:, 0]  # no pitch is lost at a quarter of the rate
    rate, hop, length = rate // 4, rate // 400, rate // 80
    frames = F.pad(slow, (length // 2, length // 2 + hop)).unfold(1, length, hop)[:, : x.shape[1] // (4 * hop) + 1]
    frames = frames - frames.mean(dim=2, keepdim=True)
    window = torch.hann_window(length, device=x.device)
    size = 1 << (2 * length - 1).bit_length()
    fine = 4 * rate  # between the samples of the slow wave, where a peak may well be
    lags = torch.arange(int(fine / high) - 1, int(fine / low) + 2, device=x.device)

    def correlation(wave: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(wave * window, size)
        whole: Tensor = torch.fft.irfft(spectrum.abs().square(), 4 * size)
        return whole / whole[..., :1].clamp_min(1e-9)

    r = (correlation(frames) / correlation(torch.ones_like(window)))[..., lags]
    # Multiples of the period correlate as well: of equals the shortest is meant.
    best = (r - 0.06 * torch.log2(lags / lags[0]))[..., 1:-1].argmax(dim=2, keepdim=True) + 1
    before, here, after = (r.gather(2, best + i)[..., 0] for i in (-1, 0, 1))
    shift = (0.5 * (before - after) / (before - 2 * here + after).clamp(max=-1e-6)).clamp(-0.5, 0.5)
    hertz = fine / (lags[best[..., 0]] + shift)
    power = frames.square().mean(dim=2)
    voiced = (here > 0.45) & (power > 1e-3 * power.amax(dim=1, keepdim=True)) & (power > 1e-8)
    hertz = hertz * voiced
    smooth = F.pad(hertz[:, None], (2, 2), mode="replicate")[:, 0].unfold(1, 5, 1).median(dim=2).values
    return Pitch(smooth, smooth.where(smooth > 0, torch.nan).nanmedian(dim=1, keepdim=True).values.nan_to_num())


def change_voice(x: Tensor, formants: Tensor, pitch: Tensor, span: Tensor, rate: int = RATE) -> Tensor:
    """Makes formants and pitch higher or lower by their factors, and what pitch does around its median more or less lively.

        f0'(t) = pitch (median + span (f0(t) - median))

    formants, pitch, span: (B,), 1 for no change. Every 10 ms a grain of 20 ms is read, faster or slower by f0' / f0, from where
    the phase of the voice is that of the new pitch, at most half a period away; then its spectrum is multiplied by the ratio of
    the cepstral envelope with the wanted formants to the one that reading made. Grains without pitch are read as they are. What
    is in one frame of 20 ms stays there, and with factors of 1 nothing changes.

    >>> x = torch.sin(torch.arange(1600.0) / 20)[None]
    >>> one = torch.ones(1)
    >>> torch.allclose(change_voice(x, one, one, one), x, atol=1e-5)
    True
    """
    known = x.nan_to_num()
    f0, median = pitch_of(x, rate=rate)
    voiced, hop = f0 > 0, rate // 100
    wanted = pitch[:, None] * (median + span[:, None] * (f0 - median))
    ratio = torch.where(voiced, wanted / f0.clamp_min(1), 1.0).clamp(1 / 3, 3.0)
    # Only the difference of the phases of neighbouring grains can be heard, so the phase may begin anywhere.
    ahead = ((ratio - 1) * f0 * hop / rate).double().cumsum(dim=1)
    delay = torch.where(voiced, (ahead - ahead.round()).float() * rate / f0.clamp_min(1), 0.0)
    grains = _grains(known, ratio, delay, hop)
    gain = _formant_gain(known, ratio, formants[:, None].expand_as(ratio), hop)
    spectrum = torch.fft.rfft(F.pad(grains, (_SIZE // 2 - hop, _SIZE // 2 - hop)))
    shaped = torch.fft.irfft(spectrum * gain, _SIZE)
    length = (shaped.shape[1] - 1) * hop + _SIZE
    y = F.fold(shaped.transpose(1, 2), (1, length), (1, _SIZE), stride=(1, hop))[:, 0, 0]
    return y[:, _SIZE // 2 : _SIZE // 2 + x.shape[1]].masked_fill(x.isnan(), torch.nan)


_SIZE = 512
_QUEFRENCIES = 32  # 2 ms: what changes faster along the spectrum is pitch


def _grains(x: Tensor, ratio: Tensor, delay: Tensor, hop: int) -> Tensor:
    """Windowed grains (B, J, 2 hop) around every hop, read at their own speed (Catmull-Rom's cubics), silence around the wave."""
    b, n = x.shape
    around = torch.arange(-hop, hop, device=x.device)
    centre = torch.arange(ratio.shape[1], device=x.device) * hop
    place = (centre + delay)[..., None] + ratio[..., None] * around
    place = place.clamp(-2.0, n + 1.0) + 3
    before = place.floor()
    f = place - before
    index = before.long() + (torch.arange(b, device=x.device) * (n + 8))[:, None, None]
    flat = F.pad(x, (3, 5)).flatten()
    p, q, r, s = (flat[index + i] for i in (-1, 0, 1, 2))
    y = q + f / 2 * (r - p + f * (2 * p - 5 * q + 4 * r - s + f * (3 * (q - r) + s - p)))
    return y * torch.hann_window(2 * hop, device=x.device)


def _formant_gain(x: Tensor, ratio: Tensor, formants: Tensor, hop: int) -> Tensor:
    """How much each frequency of a grain read at `ratio` has to be raised for its formants to be moved: (B, J, 257), within 24 dB."""
    frames = F.pad(x, (_SIZE // 2, _SIZE // 2 + hop)).unfold(1, _SIZE, hop)[:, : ratio.shape[1]]
    power = torch.fft.rfft(frames * torch.hann_window(_SIZE, device=x.device)).abs().square()
    cepstrum = torch.fft.irfft(torch.log(power + 1e-7), _SIZE)
    quefrency = torch.arange(_SIZE, device=x.device)
    kept = quefrency.minimum(_SIZE - quefrency) < _QUEFRENCIES
    envelope = torch.fft.rfft(cepstrum * kept).real / 2  # of the logarithm of amplitudes
    gain = _stretched(envelope, formants) - _stretched(envelope, ratio)
    return torch.exp(gain.clamp(-_MOST, _MOST))


_MOST = 24 * math.log(10) / 20


def _stretched(envelope: Tensor, factor: Tensor) -> Tensor:
    """The envelope (B, J, F) with all frequencies `factor` (B, J) times as high; above, the last value goes on."""
    last = envelope.shape[2] - 1
    place = (torch.arange(last + 1, device=envelope.device) / factor[..., None]).clamp(max=last)
    before = place.long().clamp(max=last - 1)
    return torch.lerp(envelope.gather(2, before), envelope.gather(2, before + 1), place - before)
