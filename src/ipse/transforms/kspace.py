"""Magnetic resonance measurements: the Fourier transform, coils, masks, and what is done to them to learn without references.

Measurements y are complex (B, coils, H, W) with the zero frequency in the middle; images x are complex (B, H, W).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ipse.errors import UserError

_PLACE = (-2, -1)


def fft(x: Tensor) -> Tensor:
    """The orthonormal Fourier transform over the last two dimensions, the zero frequency in the middle."""
    y: Tensor = torch.fft.fftshift(torch.fft.fft2(torch.fft.ifftshift(x, _PLACE), norm="ortho"), _PLACE)
    return y


def ifft(y: Tensor) -> Tensor:
    """The inverse of `fft`."""
    x: Tensor = torch.fft.fftshift(torch.fft.ifft2(torch.fft.ifftshift(y, _PLACE), norm="ortho"), _PLACE)
    return x


def measure(x: Tensor, mask: Tensor, maps: Tensor) -> Tensor:
    """What the coils measure of an image: A x = U F S x, (B, coils, H, W).

    `x`: complex (B, H, W). `mask`: U, 1 where a sample is acquired, (B, 1, H, W). `maps`: S, complex (B, coils, H, W).
    """
    return mask * fft(maps * x[:, None])


def combine(y: Tensor, mask: Tensor, maps: Tensor) -> Tensor:
    """The adjoint of `measure`, the zero-filled image: A^H y = sum over coils of conj(S) F^-1 U y, (B, H, W)."""
    return (maps.conj() * ifft(mask * y)).sum(1)


def acquired(y: Tensor) -> Tensor:
    """The mask (B, 1, H, W): 1 where any coil has a sample that is not exactly 0."""
    return (y != 0).any(1, keepdim=True).float()


def sensitivities(y: Tensor, size: int = 24) -> Tensor:
    """Coil maps (B, coils, H, W) whose squares add up to 1, from the `size` frequencies in the middle, which must be acquired.

        S_c = m_c / sqrt(sum over coils of |m|^2),   m = F^-1 (Hann window of the middle x y)

    One coil has the map 1: the phase stays in the image.
    """
    if y.shape[1] == 1:
        return torch.ones_like(y)
    window = torch.ones((), device=y.device)
    for n, shape in ((y.shape[-2], (-1, 1)), (y.shape[-1], (1, -1))):
        apart = (torch.arange(n, device=y.device) - n // 2).abs() / (min(size, n) / 2)
        window = window * (torch.cos(apart.clamp(max=1) * torch.pi / 2) ** 2).view(shape)
    smooth = ifft(window * y)
    return smooth / smooth.abs().square().sum(1, keepdim=True).sqrt().clamp_min(1e-12)


def cartesian_mask(shape: tuple[int, int], acceleration: float, *, middle: float = 0.08, generator: torch.Generator) -> Tensor:
    """Whole columns at random, 1 / `acceleration` of all, of which the `middle` share is in the middle: (1, 1, H, W).

    Raises UserError when the middle alone is more than that.
    """
    width = shape[1]
    central, wanted = max(1, round(middle * width)), round(width / acceleration)
    if not acceleration >= 1 or wanted < central:
        raise UserError(
            f"acceleration {acceleration:g} leaves {wanted} of {width} columns: at least 1, and {central} for the middle"
        )
    columns = torch.zeros(width)
    start = (width - central) // 2
    columns[start : start + central] = 1
    outside = (columns == 0).nonzero()[:, 0]
    columns[outside[torch.randperm(len(outside), generator=generator)[: wanted - central]]] = 1
    return columns.expand(1, 1, *shape).clone()


def add_noise(y: Tensor, mask: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
    """More noise on what was acquired, none elsewhere: y + U sigma (n1 + i n2), n ~ N(0, 1); the variance of a sample is 2 sigma^2.

    `sigma`: (B,), in the units of `y`.
    """
    noise = torch.randn(*y.shape, 2, generator=generator)
    return y + mask * sigma.view(-1, 1, 1, 1) * torch.view_as_complex(noise).to(y.device)


def split(mask: Tensor, held: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """What is acquired, sample by sample in two parts that share none: the input's Theta and the loss's Lambda, a share `held` of all.

    `mask`: (B, 1, H, W). The middle 4 x 4 frequencies, without which there is no image, always stay in the input.

    Yaman et al., MRM 2020, arXiv:1912.07669
    """
    chance = torch.rand(mask.shape, generator=generator).to(mask.device)
    top, left = ((n - 4) // 2 for n in mask.shape[-2:])
    chance[..., max(0, top) : top + 4, max(0, left) : left + 4] = 1
    lost = mask * (chance < held)
    return mask - lost, lost
