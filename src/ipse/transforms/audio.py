"""Views of recordings: products of matrices for speed, one pair of Fourier transforms for room and band, noise from a table.

Every parameter is drawn per sample from (key, position in the global batch); the arithmetic runs on the whole batch, on its
device. Views stay waves whatever front end the encoder has, so SpecAugment's masks (Park et al., 2019, arXiv:1904.08779) are made
in the wave: a masked time is a span of zeros, a masked band of frequencies is filtered away.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ipse import randomness
from ipse.data import Raw
from ipse.data.form import RATE
from ipse.transforms.policy import Policy
from ipse.transforms.sees import Look
from ipse.transforms.view import View
from ipse.transforms.viewer import Viewer

_DECIBELS = (-60.0, 60.0)


@dataclass(frozen=True)
class AudioPolicy(Policy):
    """How far strong views of recordings may go.

    Speed moves pitch and tempo together (Ko et al., Interspeech 2015). Mixing lays a stretch of another recording, at most half
    as long as the view, over it (Chen et al., 2021, arXiv:2110.05752). Noise is white, pink or brown.
    """

    crop: tuple[float, float] = (0.6, 1.0)  # share of the clip
    part: tuple[float, float] = (0.0, 1.0)  # where in the clip the crop is taken from
    speed: tuple[float, float] = (0.9, 1.1)
    gain: tuple[float, float] = (-6.0, 6.0)  # dB
    noise: float = 0.5
    noise_snr: tuple[float, float] = (5.0, 30.0)  # dB
    mix: float = 0.2
    mix_snr: tuple[float, float] = (-5.0, 5.0)  # dB
    reverb: float = 0.3
    rt60: tuple[float, float] = (0.1, 0.5)  # seconds in which the echo falls by 60 dB
    direct: tuple[float, float] = (0.0, 12.0)  # dB by which the direct sound exceeds the echo
    band_stop: float = 0.3
    band: tuple[float, float] = (0.05, 0.2)  # share of the mel scale
    mask_time: float = 0.3
    mask: tuple[float, float] = (0.02, 0.15)  # share of the view

    modality: ClassVar[str] = "audio"
    limits: ClassVar[Mapping[str, tuple[float, float]]] = {
        "speed": (0.5, 2.0),
        "rt60": (0.01, 5.0),
        **dict.fromkeys(("gain", "noise_snr", "mix_snr", "direct"), _DECIBELS),
    }

    def weak(self) -> AudioPolicy:
        """Only a crop and another loudness."""
        return replace(self, speed=(1.0, 1.0), noise=0.0, mix=0.0, reverb=0.0, band_stop=0.0, mask_time=0.0)


class AudioViewer(Viewer[AudioPolicy]):
    """Views of recordings, `samples` long; bank: recordings to mix in, as they are read, none by default."""

    def __init__(self, policy: AudioPolicy, samples: int, bank: Raw | None = None):
        self.policy, self.samples = policy, samples
        self.bank = None if bank is None or not len(bank["x"]) else _Bank(bank["x"], bank["length"], samples)

    def view(self, raw: Raw, look: Look, key: int, position: Tensor) -> View:
        samples = max(1, round(self.samples * look.scale))
        if look.strength == "none":
            return original(raw["x"], raw["length"], samples)
        return make_view(raw["x"], raw["length"], self.policy_of(look), samples, key, position, self.bank)


def original(source: Tensor, length: Tensor, samples: int) -> View:
    """The middle of each clip, as much as fits into `samples`; NaN behind its end."""
    start = (length - samples).clamp(min=0) // 2
    x = _cut(source, start, samples)
    return View(_ended(x, (length - start).clamp(max=samples)), _matrix(start, torch.ones_like(x[:, 0]), source, samples))


class _Bank:
    """Recordings to borrow stretches from, laid end to end with a margin, and the mean power of each."""

    def __init__(self, x: Tensor, length: Tensor, margin: int):
        self.stride, self.length, self.margin = x.shape[1], length.clamp(min=1), margin
        inside = torch.arange(x.shape[1], device=x.device) < length[:, None]
        x = x * inside
        self.power = x.float().div(32768).square().sum(dim=1) / self.length
        self.flat = F.pad(x.flatten(), (margin, margin))

    def to(self, device: torch.device) -> _Bank:
        for name in ("length", "power", "flat"):
            setattr(self, name, getattr(self, name).to(device))
        return self


def make_view(
    source: Tensor,
    length: Tensor,
    policy: AudioPolicy,
    samples: int,
    key: int,
    position: Tensor,
    bank: _Bank | None = None,
) -> View:
    """Draws one view per clip.

    source: (B, W) int16. length: (B,) how much of each is sound. samples: length of the view. key, position: where the random
    numbers come from (`ipse.randomness`); position is int64 (B,).
    """
    u = randomness.uniform(randomness.key(key, "audio"), position, len(_DRAWN))
    bank = bank.to(source.device) if bank is not None else None
    speed, start, n = _crop(_Draws(u), length, policy, samples)
    x = torch.empty(len(source), samples, device=source.device)
    for first in range(0, len(source), step := _samples_at_once(source, samples)):
        rows = slice(first, first + step)
        draw, ends = _Draws(u[rows]), n[rows]
        if policy.speed == (1.0, 1.0):
            wave = _cut(source[rows], start[rows], samples)
        else:
            wave = _resampled(source[rows], start[rows], speed[rows], samples, *policy.speed)
        _fill(wave, ends, None, 0.0)
        power = _energy(wave) / ends.clamp(min=1)
        if policy.noise:
            _add_noise(wave, power, draw, policy)
        if bank is not None and policy.mix:
            _add_others(wave, power, ends, draw, policy, bank)
        if policy.reverb or policy.band_stop:
            _filter(wave, ends, draw, policy)
        if policy.mask_time:
            _hide(wave, ends, draw, policy)
        wave *= _amplitude(draw("gain", policy.gain))[:, None]
        x[rows] = _ended(wave.clamp_(-1, 1), ends)
    return View(x, _matrix(start, speed, source, samples))


def _samples_at_once(source: Tensor, samples: int, most: int = 1 << 22) -> int:
    """How many clips to work on at a time: on a CPU so many that `most` numbers hold them, which its caches do."""
    return max(1, len(source) if source.device.type != "cpu" else most // samples)


_DRAWN = (
    *("crop", "place", "speed", "gain", "noise", "noise_snr", "noise colour", "noise place", "noise sign"),
    *("mix", "mix_snr", "mix clip", "mix length", "mix from", "mix to"),
    *("reverb", "room", "direct", "band_stop", "band", "band place", "mask_time", "mask", "mask place"),
)


class _Draws:
    """Named uniform numbers per sample; a setting draws the same ones whatever the others are."""

    def __init__(self, u: Tensor):
        self.u = u

    def __call__(self, name: str, between: tuple[float, float] = (0.0, 1.0)) -> Tensor:
        low, high = between
        return low + (high - low) * self.u[:, _DRAWN.index(name)]

    def below(self, name: str, n: Tensor | int) -> Tensor:
        """Whole numbers from 0 to n - 1."""
        return (self(name).double() * n).long()


def _crop(draw: _Draws, length: Tensor, policy: AudioPolicy, samples: int) -> tuple[Tensor, Tensor, Tensor]:
    """Speed, first sample of the source (B,), and how many samples the view has: whole, (B,), 0 only where the clip has none."""
    first, end = ((length * share).floor() for share in policy.part)
    speed, most = (draw("speed", policy.speed) * _BLOCK).round() / _BLOCK, (end - first - 1).clamp(min=0)
    shown = (draw("crop", policy.crop) * length).maximum(length.clamp(max=_SHORTEST))
    n = (shown / speed).floor().minimum((most / speed).floor() + 1).clamp(min=1, max=samples)
    start = first + draw("place") * (most - (n - 1) * speed).clamp(min=0)
    return speed, start.floor().long(), n.long() * (length > 0)


_SHORTEST = 400  # 25 ms: one frame of what encoders see


def _resampled(source: Tensor, start: Tensor, speed: Tensor, samples: int, slowest: float, fastest: float) -> Tensor:
    """What is heard at start + i speed: (b, samples), in [-1, 1]; start and speed _BLOCK are whole.

    A block of the view is one product of matrices: what it is made of times the weights of its speed.
    """
    weights, reach = _stretches(round(slowest * _BLOCK), round(fastest * _BLOCK), source.device)
    pace, window, blocks = (speed * _BLOCK).round().long(), weights.shape[1], -(-samples // _BLOCK)
    padded = torch.zeros(len(source), reach + source.shape[1] + window, device=source.device)
    padded[:, reach : reach + source.shape[1]] = source
    row = torch.arange(len(source), device=source.device)[:, None]
    first = start.long()[:, None] + pace[:, None] * torch.arange(blocks, device=source.device)
    heard = _slices(padded.flatten(), (row * padded.shape[1] + first.clamp_(max=source.shape[1])).flatten(), window)
    y = torch.bmm(heard.view(len(source), blocks, window), weights[pace - round(slowest * _BLOCK)])
    return y.flatten(1)[:, :samples].contiguous()


_BLOCK = 80  # samples of a view that are made at a time; speeds are whole numbers of its parts
_LOBES = 6  # of the sinc on either side


@lru_cache(maxsize=8)
def _stretches(slowest: int, fastest: int, device: torch.device) -> tuple[Tensor, int]:
    """The weights (S, K, L) of int16 numbers in blocks of L at each speed p / L, and how many of the K come before the first.

    A sinc under a Hann window, and no higher than what the view can hold.
    """
    pace = torch.arange(slowest, fastest + 1, device=device, dtype=torch.float64)[:, None, None]
    cutoff = (_BLOCK / pace).clamp(max=1)
    reach = math.ceil(_LOBES * max(1, fastest / _BLOCK))
    read = torch.arange(-reach, fastest + reach, device=device)[:, None]
    away = cutoff * (read - pace * torch.arange(_BLOCK, device=device) / _BLOCK)
    weights = torch.sinc(away) * torch.cos(away * (math.pi / 2 / _LOBES)).square()
    weights[(away.abs() >= _LOBES) | (weights.abs() < 1e-9)] = 0  # numbers near the smallest there are would be slow
    return (weights / weights.sum(dim=1, keepdim=True) / 32768).float(), reach


def _cut(source: Tensor, start: Tensor, samples: int) -> Tensor:
    """The samples from `start` (B,) on, in [-1, 1]; what lies behind the end of a row has no meaning."""
    flat = F.pad(source.flatten(), (0, samples))
    row = torch.arange(len(source), device=source.device)
    return _slices(flat, row * source.shape[1] + start, samples).float().div_(32768)


def _add_noise(x: Tensor, power: Tensor, draw: _Draws, policy: AudioPolicy) -> None:
    table = _noises(x.shape[1], x.device)
    start = draw.below("noise colour", 3) * (table.numel() // 3) + draw.below("noise place", _TABLE)
    amplitude = power.sqrt() * _amplitude(-draw("noise_snr", policy.noise_snr))
    amplitude = torch.where(draw("noise sign") < 0.5, -amplitude, amplitude)
    rows = (draw("noise") < policy.noise).nonzero()[:, 0]
    x.index_add_(0, rows, _slices(table, start[rows], x.shape[1]).mul_(amplitude[rows, None]))


_TABLE = 1 << 18


@lru_cache(maxsize=4)
def _noises(longest: int, device: torch.device) -> Tensor:
    """Tables of white, pink and brown noise of power 1, laid end to end, for stretches up to `longest` from any of `_TABLE` places.

    Fresh normal numbers for each sample would cost more than all else; a random stretch of a fixed table is as good.
    """
    n = _fast(_TABLE + longest)
    white = randomness.normal(randomness.key("noise"), torch.arange(n // 2, device=device), 2).flatten()
    spectrum = torch.fft.rfft(white)
    hertz = torch.arange(n // 2 + 1, device=device) * RATE / n
    slope = torch.tensor([0.0, 0.5, 1.0], device=device)[:, None]
    coloured: Tensor = torch.fft.irfft(spectrum * (hertz >= 20) * hertz.clamp(min=20) ** -slope, n)
    return (coloured / coloured.square().mean(dim=1, keepdim=True).sqrt()).flatten()


def _add_others(x: Tensor, power: Tensor, ends: Tensor, draw: _Draws, policy: AudioPolicy, bank: _Bank) -> None:
    rows = (draw("mix") < policy.mix).nonzero()[:, 0]
    draw, ends = _Draws(draw.u[rows]), ends[rows]
    clip = draw.below("mix clip", len(bank.length))
    n = draw.below("mix length", ends // 2 + 1).minimum(bank.length[clip])
    first, to = draw.below("mix from", bank.length[clip] - n + 1), draw.below("mix to", ends - n + 1)
    other = _slices(bank.flat, bank.margin + clip * bank.stride + first - to, x.shape[1]).float()
    place = _places(x.shape[1], x)
    ratio = power[rows] / bank.power[clip].clamp(min=1e-9)
    amplitude = ratio.sqrt() * _amplitude(-draw("mix_snr", policy.mix_snr)) / 32768
    heard = (place >= to[:, None]) & (place < (to + n)[:, None])
    x.index_add_(0, rows, other.mul_(heard).mul_(amplitude[:, None]))


def _filter(x: Tensor, ends: Tensor, draw: _Draws, policy: AudioPolicy) -> None:
    """Puts some clips into rooms, where they keep their power, and takes a band of frequencies out of some."""
    echoes, stopped = draw("reverb") < policy.reverb, draw("band_stop") < policy.band_stop
    for echo in (False, True):
        rows = (echoes if echo else stopped & ~echoes).nonzero()[:, 0]
        if not len(rows):
            continue
        if len(rows) == 1:
            rows = rows.repeat(2)  # one alone would be transformed, and rounded, in another way
        own, longest = _Draws(draw.u[rows]), math.ceil(policy.rt60[1] * RATE)
        size = _fast(x.shape[1] + echo * longest)
        heard = x.index_select(0, rows)
        padded = heard.new_zeros(len(rows), size)
        padded[:, : x.shape[1]] = heard
        spectrum = torch.fft.rfft(padded)
        if echo:
            rooms = _rooms(policy.rt60, size, x.device).index_select(0, own.below("room", _ROOMS))
            torch.view_as_real(rooms).mul_(_amplitude(-own("direct", policy.direct))[:, None, None])
            torch._foreach_mul_(list(spectrum), list(rooms.add_(1)))  # how a product is rounded must not depend on other rows
        if policy.band_stop:
            share = own("band", policy.band) * stopped[rows]
            low = own("band place") * (1 - share)
            mel = torch.log1p(torch.arange(size // 2 + 1, device=x.device) * (RATE / size / 700)) / math.log1p(RATE / 2 / 700)
            _fill(spectrum, torch.searchsorted(mel, low), torch.searchsorted(mel, low + share), 0.0)
        y = torch.fft.irfft(spectrum, size)[:, : x.shape[1]]
        if echo:
            _fill(y, ends[rows], None, 0.0)
            y *= (_energy(heard) / _energy(y).clamp(min=1e-9)).sqrt()[:, None]
        x.index_copy_(0, rows, y)


_ROOMS = 64


@lru_cache(maxsize=4)
def _rooms(rt60: tuple[float, float], size: int, device: torch.device) -> Tensor:
    """Spectra (_ROOMS, size // 2 + 1) of echoes of energy 1, noise that decays by 60 dB in times spread evenly between the two.

    Fresh ones for each sample would cost a third more transforms.
    """
    n = math.ceil(rt60[1] * RATE)
    seconds = rt60[0] + (rt60[1] - rt60[0]) * (torch.arange(_ROOMS, device=device) + 0.5) / _ROOMS
    noise = randomness.normal(randomness.key("rooms"), torch.arange(_ROOMS, device=device), n)
    echo = noise * torch.exp(-3 * math.log(10) / (seconds * RATE)[:, None] * torch.arange(n, device=device))
    echo[:, 0] = 0  # where the direct sound is
    spectra: Tensor = torch.fft.rfft(echo / torch.linalg.vector_norm(echo, dim=1, keepdim=True), size)
    return spectra


def _hide(x: Tensor, ends: Tensor, draw: _Draws, policy: AudioPolicy) -> None:
    n = draw("mask", policy.mask) * ends * (draw("mask_time") < policy.mask_time)
    low = draw("mask place") * (ends - n)
    _fill(x, low.ceil().long(), (low + n).ceil().long(), 0.0)


def _slices(flat: Tensor, start: Tensor, n: int) -> Tensor:
    """The n numbers from each start (B,): (B, n)."""
    windows: Tensor = flat.unfold(0, n, 1)
    return windows.index_select(0, start)


def _places(n: int, like: Tensor) -> Tensor:
    return torch.arange(n, device=like.device, dtype=like.dtype if like.is_floating_point() else torch.float32)


def _amplitude(decibels: Tensor) -> Tensor:
    return torch.exp(decibels * (math.log(10) / 20))


def _energy(x: Tensor) -> Tensor:
    energy: Tensor = torch.linalg.vector_norm(x, dim=1).square()
    return energy


def _ended(x: Tensor, n: Tensor) -> Tensor:
    return _fill(x, n, None, torch.nan)


def _fill(x: Tensor, first: Tensor, end: Tensor | None, value: float) -> Tensor:
    """Sets x[b, first[b] : end[b]] to `value`, to the end where none is given, in place."""
    if x.device.type == "cpu":  # touching only what changes costs less than a mask of everything
        ends = [x.shape[1]] * len(x) if end is None else end.tolist()
        for row, a, b in zip(x.numpy(), first.tolist(), ends, strict=True):
            row[a:b] = value
        return x
    place = torch.arange(x.shape[1], device=x.device)
    inside = place >= first[:, None] if end is None else (place >= first[:, None]) & (place < end[:, None])
    return x.masked_fill_(inside, value)


def _matrix(start: Tensor, speed: Tensor, source: Tensor, samples: int) -> Tensor:
    """The map (B, 1, 2) of time, from -1 to 1 over the view, to that of the source."""
    w = max(1, source.shape[1])
    scale, shift = speed * samples / w, (2 * start + speed * (samples - 1) + 1) / w - 1
    return torch.stack([scale, shift], dim=1)[:, None]


@lru_cache(maxsize=64)
def _fast(n: int) -> int:
    """The smallest even number from n on without prime factors above 5, a length that Fourier transforms are quick at."""
    while True:
        n += n % 2
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 2
