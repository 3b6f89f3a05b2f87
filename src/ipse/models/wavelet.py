"""Series as spectra and as wavelet coefficients: fixed linear frames that need no augmentation to give other views."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def spectrum(x: Tensor) -> tuple[Tensor, Tensor]:
    """Amplitude and phase, in (-pi, pi], of the orthonormal Fourier transform: (..., T) to (..., T // 2 + 1) each.

    Values that are NaN count as 0, the mean of a standardised series. Where the amplitude is 0, so is the phase.

    >>> amplitude, phase = spectrum(torch.tensor([0.0, 1.0, 0.0, -1.0]))  # a sine, of period 4
    >>> (amplitude.round(decimals=4) + 0.0).tolist(), round(phase[1].item(), 4)
    ([0.0, 1.0, 0.0], -1.5708)
    """
    transformed = torch.fft.rfft(x.nan_to_num().float(), norm="ortho")
    return transformed.abs(), transformed.angle()


class Morlet(nn.Module):
    """The magnitude of the continuous wavelet transform with complex Morlet wavelets: (B, C, T) to (B, C, scales, T).

        W(a, t) = 1/sqrt(a) sum_u x(u) conj(psi((u - t) / a)),    psi(t) = exp(2 pi i centre t - t^2 / width) / sqrt(pi width)

    computed as one product of Fourier transforms: that of psi is exp(-pi^2 width (f - centre)^2). Scale a responds most to
    periods of a / centre steps. The ends of the series are continued with zeros; NaN counts as 0.

    length: T. scales: by default 48, spaced evenly in logarithms from 2, the shortest period there is, to 128 or half the
    length; the paper's go from 1.

    Torrence and Compo, 1998, Bulletin of the American Meteorological Society 79
    """

    response: Tensor

    def __init__(self, length: int, scales: Sequence[float] | None = None, width: float = 1.0, centre: float = 1.0):
        super().__init__()
        longest = max(4.0, min(128.0, length / 2))
        self.scales = tuple(scales or (2 * (longest / 2) ** (i / 47) for i in range(48)))
        self.length = length
        # The envelope has fallen to exp(-16) where one end would wrap around to the other.
        self.padded = length + math.ceil(4 * max(self.scales) * math.sqrt(width))
        a = torch.tensor(self.scales, dtype=torch.float64)[:, None]
        f = torch.fft.fftfreq(self.padded, dtype=torch.float64)
        # All the frequencies that sampling at every step makes one.
        responses = (torch.exp(-(math.pi**2) * width * (a * (f + i) - centre) ** 2) for i in range(-4, 5))
        response = a.sqrt() * torch.stack(tuple(responses)).sum(dim=0)
        self.register_buffer("response", response.float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        transformed = torch.fft.fft(x.nan_to_num().float(), n=self.padded)
        coefficients: Tensor = torch.fft.ifft(transformed[:, :, None] * self.response)[..., : self.length]
        return coefficients.abs()
