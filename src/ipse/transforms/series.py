"""Views of series: one gather for all that happens to time, one product for all that happens to the size of the values.

Every parameter is drawn per sample from (key, position in the global batch); the arithmetic runs on the whole batch, on its
device.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar

import torch
from torch import Tensor

from ipse import randomness
from ipse.data import Raw
from ipse.transforms.policy import Policy
from ipse.transforms.sees import Look
from ipse.transforms.view import View
from ipse.transforms.viewer import Viewer

KNOTS = 6  # of a smooth random curve: the two ends and four between, as in Um et al.


@dataclass(frozen=True)
class SeriesPolicy(Policy):
    """How far strong views of series may go.

    The operations are those of Um et al., 2017, arXiv:1706.00527, with their strengths (noise and gain are twice as strong),
    fired independently of each other (Abbaspourazad et al., 2024, arXiv:2312.05409); the crop is that of TS2Vec
    (Yue et al., 2022, arXiv:2106.10466), the frequencies are those of TF-C (Zhang et al., 2022, arXiv:2206.08496), the segments
    those of TS-TCC (Eldele et al., 2021, arXiv:2106.14112).
    """

    crop: tuple[float, float] = (0.5, 1.0)  # share of the known length, stretched to all of it
    time_warp: float = 0.25
    time_warp_strength: float = 0.2  # standard deviation of the logarithm of the speed
    permutation: float = 0.1
    segments: tuple[float, float] = (2, 5)  # how many pieces change places
    channel_permutation: float = 0.0
    flip: float = 0.0  # chance of the opposite sign
    scaling: float = 0.2  # standard deviation of a channel's gain
    magnitude_warp: float = 0.25
    magnitude_warp_strength: float = 0.2  # standard deviation of the gain at a knot
    frequency_noise: float = 0.25
    frequency_share: float = 0.1  # of the frequencies are removed, and as many amplified
    frequency_boost: float = 0.1  # by up to this share of the largest amplitude
    noise: float = 0.5
    jitter: float = 0.1  # standard deviation of the noise
    cutout: float = 0.4
    cutout_share: tuple[float, float] = (0.1, 0.3)  # of the known length
    dropout: float = 0.0  # share of the steps that go missing

    modality: ClassVar[str] = "series"
    limits: ClassVar[Mapping[str, tuple[float, float]]] = {
        "segments": (1.0, 64.0),
        **dict.fromkeys(
            ("time_warp_strength", "scaling", "magnitude_warp_strength", "frequency_boost", "jitter"), (0.0, math.inf)
        ),
    }

    def weak(self) -> SeriesPolicy:
        """Only a mild crop and a little noise."""
        return replace(
            self,
            crop=(0.8, 1.0),
            jitter=self.jitter / 4,
            time_warp=0.0,
            permutation=0.0,
            channel_permutation=0.0,
            flip=0.0,
            scaling=0.0,
            magnitude_warp=0.0,
            frequency_noise=0.0,
            cutout=0.0,
            dropout=0.0,
        )


class SeriesViewer(Viewer[SeriesPolicy]):
    """Views of series (B, C, T) with NaN where nothing is known; take: the channels to show, where there are more than those."""

    def __init__(self, policy: SeriesPolicy, take: Sequence[int] = ()):
        self.policy, self.take = policy, list(take)

    def view(self, raw: Raw, look: Look, key: int, position: Tensor) -> View:
        x = raw["x"]
        if self.take and x.shape[1] > len(self.take):
            x = x[:, self.take]
        length = max(1, round(x.shape[2] * look.scale))
        if look.strength == "none":
            return original(x, length)
        return make_view(x, self.policy_of(look), length, key, position)


def original(source: Tensor, length: int) -> View:
    """Each series as it is, at `length` steps.

    >>> original(torch.tensor([[[0.0, 1.0, 2.0, 3.0]]]), 2).x
    tensor([[[0.5000, 2.5000]]])
    """
    b, _, t = source.shape
    x = source.clone() if length == t else _resampled(source, _middles(length, source.device).expand(b, -1) * t - 0.5)
    return View(x, torch.eye(1, 2, device=source.device).expand(b, -1, -1))


def make_view(source: Tensor, policy: SeriesPolicy, length: int, key: int, position: Tensor) -> View:
    """Draws one view per series.

    source: (B, C, T), NaN where nothing is known. length: steps of the view. A series that ends before T ends at the same share of
    the view: none is played faster or slower for its length. The view's matrix is that of the crop; a time warp moves places
    within it, a permutation exchanges them. key, position: where the random numbers come from (`ipse.randomness`); position is
    int64 (B,).
    """
    t, draw = source.shape[2], _Draws(key, position)
    known = (_known_length(source) * (length / t) + 0.5).long().clamp_(1, length)  # steps of the view before its padding
    share = draw.between("crop", *policy.crop)
    start = draw("place") * (1 - share) * known / length
    step = _shuffled(draw, policy, _warped(draw, policy, known, length), known)
    x = _resampled(_rewired(draw, policy, source), (start[:, None] + share[:, None] * step) * t - 0.5)
    x = _shaken(draw, policy, _refrequenced(draw, policy, _amplified(draw, policy, x)))
    x.masked_fill_(_hidden(draw, policy, known, length)[:, None], math.nan)
    return View(x, torch.stack([share, 2 * start + share - 1], dim=1)[:, None])


class _Draws:
    """Named random numbers per sample: those that are one number in one block, the others one by one."""

    def __init__(self, key: int, position: Tensor):
        self.key, self.position = key, position
        self.block: dict[str, Tensor] = dict(zip(_DRAWN, randomness.uniform(key, position, len(_DRAWN)).T, strict=True))

    def __call__(self, name: str) -> Tensor:
        return self.block[name]

    def between(self, name: str, low: float, high: float) -> Tensor:
        return low + (high - low) * self(name)

    def rows(self, name: str, chance: float) -> Tensor:
        """The samples that something happens to."""
        return (self(name) < chance).nonzero()[:, 0]

    def many(self, name: str, n: int, rows: Tensor | None = None) -> Tensor:
        return randomness.uniform(randomness.key(self.key, name), self._of(rows), n)

    def normal(self, name: str, n: int, rows: Tensor | None = None) -> Tensor:
        """Standard normal floats (B, n), two from each 32 bits: a quarter of the work of `randomness.normal`, within 4.7 deviations."""
        bits = randomness.bits(randomness.key(self.key, name), self._of(rows), (n + 1) // 2)
        radius = torch.sqrt(-2 * torch.log(((bits >> 16) + 1).float() / 65536))
        angle = (bits & 0xFFFF).float() * (2 * math.pi / 65536)
        return torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], dim=1)[:, :n]

    def _of(self, rows: Tensor | None) -> Tensor:
        return self.position if rows is None else self.position[rows]


_DRAWN = (
    "crop",
    "place",
    "time_warp",
    "permutation",
    "segments",
    "channel_permutation",
    "flip",
    "magnitude_warp",
    "frequency_noise",
    "noise",
    "cutout",
    "cutout_share",
    "cutout place",
)


def _middles(length: int, device: torch.device) -> Tensor:
    """Where the middles of the steps are, as shares of the whole (length,)."""
    return (torch.arange(length, device=device) + 0.5) / length


@cache
def _knots(length: int, device: torch.device) -> Tensor:
    """Weights (KNOTS, length) of the knots' values in a smooth curve through them, which never leaves their range."""
    apart = _middles(length, device) * (KNOTS - 1) - torch.arange(KNOTS, device=device)[:, None]
    near = (1 - apart.abs()).clamp(min=0)
    return near * near * (3 - 2 * near)


def _complete(x: Tensor) -> bool:
    """Whether surely nothing is missing, found out without asking of each value, which would take as long as an operation."""
    return bool(x.sum().isfinite())


def _known_length(x: Tensor) -> Tensor:
    """How many steps (B,) there are up to the last with a known value in any channel."""
    if _complete(x):
        return torch.full((len(x),), x.shape[2], device=x.device)
    known = x.isnan().all(dim=1).logical_not_()
    return (known * torch.arange(1, x.shape[2] + 1, device=x.device)).amax(dim=1)


def _warped(draw: _Draws, policy: SeriesPolicy, known: Tensor, length: int) -> Tensor:
    """What is shown at each step (B, length), as a share of the whole: time passes at a smoothly changing speed.

    It starts and ends where it would have without, and never turns back.
    """
    step = _middles(length, known.device).expand(len(known), -1)
    if not policy.time_warp:
        return step
    rows = draw.rows("time_warp", policy.time_warp)
    speed = policy.time_warp_strength * draw.normal("speed", KNOTS, rows) @ _knots(length, known.device)
    pace, ends = speed.exp_(), known[rows][:, None]
    passed = pace.cumsum(dim=1)
    return step.index_copy(0, rows, (passed - pace / 2) / passed.gather(1, ends - 1) * ends / length)


def _shuffled(draw: _Draws, policy: SeriesPolicy, step: Tensor, known: Tensor) -> Tensor:
    """Cuts the known steps of some samples into pieces at random places and puts them in a random order."""
    if not policy.permutation:
        return step
    rows, places = draw.rows("permutation", policy.permutation), torch.arange(step.shape[1], device=step.device)
    few, most = (int(n) for n in policy.segments)
    pieces, ends = draw.between("segments", few, most + 1)[rows].long()[:, None], known[rows][:, None]
    cuts, rank = draw.many("pieces", 2 * most, rows).split(most, dim=1)
    cuts = 1 + (cuts * (ends - 1)).long()
    cuts = torch.where(torch.arange(1, most + 1, device=step.device) < pieces, cuts, len(places))
    piece = (places[:, None] >= cuts[:, None, :]).sum(dim=2)
    order = torch.where(places < ends, rank.gather(1, piece), 1.0).argsort(dim=1, stable=True)
    return step.index_copy(0, rows, step[rows].gather(1, order))


def _rewired(draw: _Draws, policy: SeriesPolicy, x: Tensor) -> Tensor:
    """Puts the channels of some samples in a random order."""
    if not policy.channel_permutation:
        return x
    rows = draw.rows("channel_permutation", policy.channel_permutation)
    order = draw.many("channels", x.shape[1], rows).argsort(dim=1, stable=True)
    return x.index_copy(0, rows, x[rows[:, None], order])


def _resampled(x: Tensor, place: Tensor) -> Tensor:
    """The series (B, C, T) at places (B, T') between its steps, by linear interpolation.

    Where one of the two neighbours is missing it is the nearer one, known or not: gaps neither grow nor close.
    """
    place = place.clamp(0, x.shape[2] - 1)
    left = place.floor()
    weight = (place - left)[:, None]
    index = left.long()[:, None].expand(-1, x.shape[1], -1)
    a, b = x.gather(2, index), x.gather(2, (index + 1).clamp_(max=x.shape[2] - 1))
    mixed = torch.lerp(a, b, weight)
    if _complete(x):
        return mixed
    return torch.where(mixed.isnan(), torch.where(weight <= 0.5, a, b), mixed)


def _amplified(draw: _Draws, policy: SeriesPolicy, x: Tensor) -> Tensor:
    """Multiplies each channel by a gain, for some samples by one that changes smoothly, and turns some samples upside down."""
    _, c, length = x.shape
    gain = (1 + policy.scaling * draw.normal("scaling", c)) * torch.where(draw("flip") < policy.flip, -1, 1)[:, None]
    x = x * gain[:, :, None]
    if policy.magnitude_warp:
        rows = draw.rows("magnitude_warp", policy.magnitude_warp)
        curve = draw.normal("magnitude", c * KNOTS, rows).view(-1, c, KNOTS) @ _knots(length, x.device)
        x[rows] *= 1 + policy.magnitude_warp_strength * curve
    return x


def _refrequenced(draw: _Draws, policy: SeriesPolicy, x: Tensor) -> Tensor:
    """Removes Fourier components of some samples and amplifies others, the same in all channels; the mean and the gaps stay."""
    if not policy.frequency_noise:
        return x
    rows = draw.rows("frequency_noise", policy.frequency_noise)
    if not len(rows) or x.shape[2] == 1:
        return x
    spectrum = torch.fft.rfft(x[rows].nan_to_num(0.0))
    waves = spectrum[:, :, 1:]  # all but the mean
    u, more = draw.many("frequencies", 2 * waves.shape[2], rows).chunk(2, dim=1)
    size, share = waves.abs(), policy.frequency_share
    added = policy.frequency_boost * size.amax(dim=2, keepdim=True) * (more * (u >= 1 - share))[:, None]
    waves *= (1 + added / size.clamp(min=1e-6)) * (u >= share)[:, None]
    x[rows] = torch.where(x[rows].isnan(), x[rows], torch.fft.irfft(spectrum, n=x.shape[2]))
    return x


def _shaken(draw: _Draws, policy: SeriesPolicy, x: Tensor) -> Tensor:
    """Adds noise to some samples."""
    if policy.noise and policy.jitter:
        rows = draw.rows("noise", policy.noise)
        x[rows] += policy.jitter * draw.normal("jitter", math.prod(x.shape[1:]), rows).view(-1, *x.shape[1:])
    return x


def _hidden(draw: _Draws, policy: SeriesPolicy, known: Tensor, length: int) -> Tensor:
    """What is not to be seen (B, length): the padding, one stretch of some samples, single steps, but never all there is."""
    places = torch.arange(length, device=known.device)
    padding = places >= known[:, None]
    hidden = torch.zeros_like(padding)
    if policy.cutout:
        width = draw.between("cutout_share", *policy.cutout_share) * known
        ahead = places + 0.5 - (draw("cutout place") * (known - width))[:, None]
        hidden |= (ahead > 0) & (ahead < width[:, None]) & (draw("cutout") < policy.cutout)[:, None]
    if policy.dropout:
        hidden |= draw.many("dropout", length) < policy.dropout
    return padding | (hidden & ~(hidden | padding).all(dim=1, keepdim=True))
