"""Common corruptions of pictures in five severities, and simple shifts of other data.

The fifteen kinds and their strengths are those of CIFAR-10-C (Hendrycks and Dietterich, ICLR 2019, arXiv:1903.12261), made in
batches on the device of the data. Lengths (radii, strokes, shifts) are of pictures of 32 pixels and grow with the picture; levels of
noise and of colour do not. What differs: frost is grown from noise in place of six photos; glass blur takes each pixel from a random
neighbour in place of swapping pixels one after the other; JPEG is its arithmetic (blocks of 8 x 8, quarter-resolution colour)
without its coding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from ipse import randomness
from ipse.data import Form
from ipse.errors import UserError, unknown
from ipse.transforms.colour import LUMA, luma
from ipse.transforms.jitter import affine_view

Corruption = Callable[[Tensor, int, int, Tensor], Tensor]


def kinds(modality: str = "image") -> tuple[str, ...]:
    """The names of the corruptions for a kind of data."""
    return tuple(_PICTURES) if modality == "image" else tuple(_OTHERS)


def corrupt(
    x: Tensor, kind: str, severity: int = 5, *, form: Form | None = None, seed: int = 0, position: Tensor | None = None
) -> Tensor:
    """The samples x (B, ...) under one corruption, as they would reach a model.

    x: as an encoder sees it, pictures (B, C, H, W) in [-1, 1]; kind: one of `kinds`; severity: 1 to 5, or 0 for none. form: what the
    samples are; None for pictures. What happens to a sample depends on (seed, its position, kind) alone; position: int64 (B,), 0, 1,
    2, ... where it is None. Raises UserError for kinds and severities that there are not.

    >>> x = torch.zeros(2, 3, 32, 32)
    >>> corrupt(x, "contrast", 5).abs().max().item()  # grey has none to lose
    0.0
    """
    modality = "image" if form is None else str(form["modality"])
    if kind not in kinds(modality):
        raise unknown(f"corruption of {modality} data", kind, kinds(modality))
    if severity not in range(6):
        raise UserError(f"the severity of a corruption is 1 to 5, not {severity}")
    if severity == 0:
        return x
    place = torch.arange(len(x), device=x.device) if position is None else position.to(x.device)
    key = randomness.key(seed, "corruption", kind)
    if modality != "image":
        return _OTHERS[kind](x, severity, key, place, form or {})
    return (2 * _PICTURES[kind]((x.float() + 1) / 2, severity, key, place).clamp(0, 1) - 1).to(x.dtype)


def _uniform(key: int, name: str, position: Tensor, *shape: int) -> Tensor:
    return randomness.uniform(randomness.key(key, name), position, math.prod(shape)).view(-1, *shape)


def _normal(key: int, name: str, position: Tensor, *shape: int) -> Tensor:
    return randomness.normal(randomness.key(key, name), position, math.prod(shape)).view(-1, *shape)


def _scale(x: Tensor) -> float:
    """How many times longer a length is than in a picture of 32 pixels."""
    return min(x.shape[2:]) / 32


def _gaussian_noise(x: Tensor, severity: int, key: int, position: Tensor) -> Tensor:
    return x + (0.04, 0.06, 0.08, 0.09, 0.10)[severity - 1] * _normal(key, "noise", position, *x.shape[1:])


def _shot_noise(x: Tensor, severity: int, key: int, position: Tensor) -> Tensor:
    photons = (500, 250, 100, 75, 50)[severity - 1]
    return poisson(x.clamp(0, 1) * photons, _uniform(key, "noise", position, *x.shape[1:])) / photons


def poisson(rate: Tensor, u: Tensor) -> Tensor:
    """Poisson numbers of the rates from uniform ones u of the same shape: by the distribution below 12, above by its Cornish-Fisher quantile."""
    z = torch.special.ndtri(u.clamp(2.0**-25, 1 - 2.0**-25))
    many = (rate + rate.sqrt() * z + (z.square() - 1) / 6 + 0.5).floor()
    few, share, below = torch.zeros_like(rate), (-rate).exp(), torch.zeros_like(rate)
    for k in range(40):
        below = below + share
        few = few + (u >= below)
        share = share * rate / (k + 1)
    return torch.where(rate < 12, few, many.clamp(min=0))


def _impulse_noise(x: Tensor, severity: int, key: int, position: Tensor) -> Tensor:
    amount = (0.01, 0.02, 0.03, 0.05, 0.07)[severity - 1]
    u = _uniform(key, "noise", position, *x.shape[1:])
    return torch.where(u < amount, (u < amount / 2).to(x.dtype), x)


def _defocus_blur(x: Tensor, severity: int, key: int, position: Tensor) -> Tensor:
    radius, soft = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))[severity - 1]
    radius *= _scale(x)
    reach = max(1, math.ceil(radius)) + 1
    offset = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    disk = (offset[:, None].square() + offset.square() <= radius**2).to(x.dtype)
    edge = torch.exp(-0.5 * (torch.arange(-1, 2, device=x.device, dtype=x.dtype) / soft).square())
    edge = edge / edge.sum()
    kernel = F.conv2d(disk[None, None], edge[:, None] * edge[None, :][None, None], padding=1)
    return _filtered(x, kernel[0, 0] / kernel.sum())


def _filtered(x: Tensor, kernel: Tensor) -> Tensor:
    """The pictures under one small filter, with their edges mirrored."""
    reach = kernel.shape[0] // 2
    mode = "reflect" if reach < min(x.shape[2:]) else "replicate"
    weight = kernel.expand(x.shape[1], 1, *kernel.shape)
    return F.conv2d(F.pad(x, (reach,) * 4, mode=mode), weight, groups=x.shape[1])


def _gaussian(x: Tensor, sigma: float) -> Tensor:
    """The planes (B, C, H, W) blurred."""
    if sigma < 0.1:
        return x
    reach = min(math.ceil(3 * sigma), min(x.shape[2:]) - 1)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype) / sigma).square())
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, -1)
    x = F.conv2d(F.pad(x, (0, 0, reach, reach), mode="reflect"), kernel[..., None], groups=x.shape[1])
    return F.conv2d(F.pad(x, (reach, reach, 0, 0), mode="reflect"), kernel[:, :, None], groups=x.shape[1])


def _glass_blur(x: Tensor, severity: int, key: int, position: Tensor) -> Tensor:
    sigma, far, times = ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2))[severity - 1]
    far, (h, w) = max(1, round(far * _scale(x))), x.shape[2:]
    x = _gaussian(x, sigma * _scale(x))
    sample = torch.arange(len(x), device=x.device)[:, None, None]
    for i in range(times):
        step = (_uniform(key, f"step {i}", position, 2, h, w) * 2 * far).long() - far
        row = (torch.arange(h, device=x.device)[:, None] + step[:, 0]).clamp(0, h - 1)
        column = (torch.arange(w, device=x.device) + step[:, 1]).clamp(0, w - 1)
        x = x.permute(0, 2, 3, 1)[sample, row, column].permute(0, 3, 1, 2)
    return _gaussian(x, sigma * _scale(x))


def _motion_blur(x: Tensor, severity: int, key: int, position: Tensor) -> Tensor:
    radius, sigma = ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))[severity - 1]
    angle = (_uniform(key, "angle", position, 1)[:, 0] - 0.5) * math.pi / 2
    return _stroke(x, radius, sigma, angle)


def _stroke(x: Tensor, radius: float, sigma: float, angle: Tensor) -> Tensor:
    """Planes dragged along a direction (B,): the mean over shifts with weights that fall like half a Gaussian."""
    scale, (h, w) = _scale(x), x.shape[2:]
    taps = max(2, math.ceil(min(2 * radius, 4 * sigma) * scale) + 1)
    every = max(1.0, taps / 24)  # pixels between two shifts: large pictures need no finer ones
    out, total = torch.zeros_like(x), 0.0
    for i in range(math.ceil(taps / every)):
        weight, shift = math.exp(-0.5 * (i * every / (sigma * scale)) ** 2), i * every
        matrix = torch.zeros(len(x), 2, 3, device=x.device, dtype=x.dtype)
        matrix[:, 0, 0] = matrix[:, 1, 1] = 1
        matrix[:, 0, 2], matrix[:, 1, 2] = 2 * shift * torch.cos(angle) / w, 2 * shift * torch.sin(angle) / h
        out, total = out + weight * affine_view(x, matrix), total + weight
    return out / total


def _zoom_blur(x: Tensor, severity: int, key: int, position: Tensor) -> Tensor:
    count = 6 + 5 * (severity - 1)
    eye = torch.tensor([[1.0, 0, 0], [0, 1, 0]], device=x.device, dtype=x.dtype)
    views = (affine_view(x, (eye / (1 + 0.01 * i)).expand(len(x), -1, -1)) for i in range(count))
    return (x + sum(views, torch.zeros_like(x))) / (count + 1)


def _snow(x: Tensor, severity: int, key: int, position: Tensor) -> Tensor:
    mean, spread, zoom, least, radius, sigma, share = (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    )[severity - 1]
    flakes = mean + spread * _normal(key, "flakes", position, 1, *x.shape[2:])
    zoom *= max(1.0, _scale(x))
    eye = torch.tensor([[1 / zoom, 0, 0], [0, 1 / zoom, 0]], device=x.device, dtype=x.dtype)
    flakes = affine_view(flakes, eye.expand(len(x), -1, -1)) if zoom != 1 else flakes
    flakes = torch.where(flakes < least, 0, flakes).clamp(0, 1)
    angle = (-135 + 90 * _uniform(key, "angle", position, 1)[:, 0]) * math.pi / 180
    flakes = _stroke(flakes, radius, sigma, angle)
    x = share * x + (1 - share) * torch.maximum(x, 1.5 * luma(x) + 0.5)
    return x + flakes + flakes.flip(2, 3)


def _frost(x: Tensor, severity: int, key: int, position: Tensor) -> Tensor:
    """Crystals are the ridges of fractal noise, bluish white on dark."""
    keep, add = ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))[severity - 1]
    side = max(x.shape[2:])
    rough, fine = (plasma(side, decay, randomness.key(key, name), position) for name, decay in (("rough", 1.7), ("fine", 1.4)))
    ridges = (1 - (2 * rough - 1).abs() * 2).clamp(0, 1) * 0.6 + (1 - (2 * fine - 1).abs() * 3).clamp(0, 1) * 0.4
    ice = (0.3 + 0.7 * ridges)[:, None, : x.shape[2], : x.shape[3]]
    if x.shape[1] == 3:
        ice = ice * torch.tensor([0.9, 0.97, 1.0], device=x.device, dtype=x.dtype).view(1, 3, 1, 1)
    return keep * x + add * ice


def _fog(x: Tensor, severity: int, key: int, position: Tensor) -> Tensor:
    thick, decay = ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))[severity - 1]
    most = x.amax((1, 2, 3), keepdim=True)
    mist = plasma(max(x.shape[2:]), decay, key, position)[:, None, : x.shape[2], : x.shape[3]]
    return (x + thick * mist) * most / (most + thick)


def plasma(side: int, decay: float, key: int, position: Tensor) -> Tensor:
    """Fractal clouds (B, S, S) in [0, 1] by the diamond-square algorithm; S is the power of two from `side` on."""
    size = 1 << max(1, (side - 1).bit_length())
    cloud = torch.zeros(len(position), size, size, device=position.device)
    step, wibble, level = size, 100.0, 0

    def mean(total: Tensor, name: str) -> Tensor:
        u = _uniform(key, f"{name} {level}", position, *total.shape[1:])
        return total / 4 + wibble * wibble * (2 * u - 1)

    while step >= 2:
        half = step // 2
        corner = cloud[:, ::step, ::step]
        total = corner + corner.roll(-1, 1)
        cloud[:, half::step, half::step] = mean(total + total.roll(-1, 2), "square")
        middle, corner = cloud[:, half::step, half::step], cloud[:, ::step, ::step]
        across = middle + middle.roll(1, 1) + corner + corner.roll(-1, 2)
        down = middle + middle.roll(1, 2) + corner + corner.roll(-1, 1)
        cloud[:, ::step, half::step] = mean(across, "across")
        cloud[:, half::step, ::step] = mean(down, "down")
        step, wibble, level = half, wibble / decay, level + 1
    cloud = cloud - cloud.amin((1, 2), keepdim=True)
    return cloud / cloud.amax((1, 2), keepdim=True).clamp(min=1e-12)


def _brightness(x: Tensor, severity: int, key: int, position: Tensor) -> Tensor:
    """The value of HSV, with hue and saturation as they are."""
    value = x.amax(1, keepdim=True)
    more = (value + (0.05, 0.1, 0.15, 0.2, 0.3)[severity - 1]).clamp(0, 1)
    return torch.where(value > 0, x * more / value.clamp(min=1e-6), more)


def _contrast(x: Tensor, severity: int, key: int, position: Tensor) -> Tensor:
    mean = x.mean((2, 3), keepdim=True)
    return (x - mean) * (0.75, 0.5, 0.4, 0.3, 0.15)[severity - 1] + mean


def _elastic(x: Tensor, severity: int, key: int, position: Tensor) -> Tensor:
    far, sigma, affine = ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03))[
        severity - 1
    ]
    h, w = x.shape[2:]
    # Three corners of a square a third of the picture wide to either side of its middle, each moved a little.
    corners = torch.tensor([[2 / 3, 2 / 3], [2 / 3, -2 / 3], [-2 / 3, -2 / 3]], device=x.device, dtype=x.dtype).expand(
        len(x), -1, -1
    )
    moved = corners + 2 * affine * (2 * _uniform(key, "corners", position, 3, 2) - 1)
    ones = torch.ones(len(x), 3, 1, device=x.device, dtype=x.dtype)
    x = affine_view(x, torch.linalg.solve(torch.cat([moved, ones], 2), corners).transpose(1, 2), "reflection")
    if not far:
        return x
    shift = 2 * _uniform(key, "shift", position, 2, h, w) - 1
    shift = _gaussian(shift, sigma * min(h, w)) * far * 2  # of the side, on [-1, 1]
    eye = torch.tensor([[1.0, 0, 0], [0, 1, 0]], device=x.device, dtype=x.dtype).expand(len(x), -1, -1)
    grid = F.affine_grid(eye, list(x.shape), align_corners=False) + shift.permute(0, 2, 3, 1)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _pixelate(x: Tensor, severity: int, key: int, position: Tensor) -> Tensor:
    share = (0.95, 0.9, 0.85, 0.75, 0.65)[severity - 1]
    small = [max(1, int(n * share)) for n in x.shape[2:]]
    return F.interpolate(F.interpolate(x, small, mode="area"), list(x.shape[2:]), mode="nearest-exact")


def _jpeg(x: Tensor, severity: int, key: int, position: Tensor) -> Tensor:
    quality = (80, 65, 58, 50, 40)[severity - 1]
    factor = 5000 / quality if quality < 50 else 200 - 2 * quality
    h, w = x.shape[2:]
    x = F.pad(torch.round(255 * x.clamp(0, 1)), (0, -w % 16, 0, -h % 16), mode="replicate")
    if x.shape[1] != 3:
        return _coded(x - 128, 0, factor)[:, :, :h, :w].add(128) / 255
    to = torch.tensor(_TO_YCC, device=x.device, dtype=x.dtype)
    y, colour = torch.einsum("ij,bjhw->bihw", to, x).split([1, 2], 1)
    y = _coded(y - 128, 0, factor) + 128
    colour = F.interpolate(_coded(F.avg_pool2d(colour, 2), 1, factor), scale_factor=2, mode="bilinear", align_corners=False)
    back = torch.einsum("ij,bjhw->bihw", torch.linalg.inv(to), torch.cat([y, colour], 1))
    return (back / 255)[:, :, :h, :w]


def _coded(x: Tensor, table: int, factor: float) -> Tensor:
    """Planes after their cosine transform by blocks of 8 x 8 was rounded."""
    b, c, h, w = x.shape
    steps = ((torch.tensor(_TABLES[table], device=x.device, dtype=x.dtype) * factor + 50) / 100).floor().clamp(1, 255)
    blocks = x.view(b, c, h // 8, 8, w // 8, 8).transpose(3, 4)
    dct = _dct().to(x)
    waves = dct @ blocks @ dct.T
    return (dct.T @ (torch.round(waves / steps) * steps) @ dct).transpose(3, 4).reshape(b, c, h, w)


@lru_cache(maxsize=1)
def _dct() -> Tensor:
    n = torch.arange(8.0)
    waves = torch.cos((2 * n + 1) * n[:, None] * math.pi / 16) / 2
    waves[0] /= math.sqrt(2)
    return waves


_TO_YCC = [LUMA, [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
_TABLES = (
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    [
        [17, 18, 24, 47, 99, 99, 99, 99],
        [18, 21, 26, 66, 99, 99, 99, 99],
        [24, 26, 56, 99, 99, 99, 99, 99],
        [47, 66, 99, 99, 99, 99, 99, 99],
        *[[99] * 8] * 4,
    ],
)

_PICTURES: dict[str, Corruption] = {
    "gaussian_noise": _gaussian_noise,
    "shot_noise": _shot_noise,
    "impulse_noise": _impulse_noise,
    "defocus_blur": _defocus_blur,
    "glass_blur": _glass_blur,
    "motion_blur": _motion_blur,
    "zoom_blur": _zoom_blur,
    "snow": _snow,
    "frost": _frost,
    "fog": _fog,
    "brightness": _brightness,
    "contrast": _contrast,
    "elastic": _elastic,
    "pixelate": _pixelate,
    "jpeg": _jpeg,
}


def _numbers(x: Tensor, form: Form) -> Tensor:
    """Where numbers stand that may be changed: everywhere but in the categories of a table."""
    if form["modality"] != "table":
        return torch.ones(1, dtype=torch.bool, device=x.device)
    return torch.tensor([column["categories"] is None for column in form["columns"]], device=x.device)


def _noise(x: Tensor, severity: int, key: int, position: Tensor, form: Form) -> Tensor:
    """Gaussian noise: of waves 20 to 0 dB below the sound, else 0.1 to 1 standard deviations of the source."""
    if form["modality"] == "audio":
        loud = x.nan_to_num(0).square().sum(1, keepdim=True) / (~x.isnan()).sum(1, keepdim=True).clamp(min=1)
        loudness = loud.sqrt() * 10 ** (-(20, 15, 10, 5, 0)[severity - 1] / 20)
        return (x + loudness * _normal(key, "noise", position, *x.shape[1:])).clamp(-1, 1)
    level = (0.1, 0.2, 0.4, 0.7, 1.0)[severity - 1]
    return torch.where(_numbers(x, form), x + level * _normal(key, "noise", position, *x.shape[1:]), x)


def _rescaled(x: Tensor, severity: int, key: int, position: Tensor, form: Form) -> Tensor:
    """A sensor that is set wrong: all numbers of a channel or column times one factor, the same for every sample, up or down."""
    most = (1.2, 1.5, 2.0, 3.0, 5.0)[severity - 1]
    columns = 1 if form["modality"] == "audio" else x.shape[1]
    u = randomness.uniform(randomness.key(key, "factor"), torch.zeros(1, dtype=torch.int64, device=x.device), columns)[0]
    factor = torch.where(u < 0.5, 1 / most, most)
    if form["modality"] == "audio":
        return (x * factor).clamp(-1, 1)
    factor = factor.view(-1, *[1] * (x.dim() - 2))
    return torch.where(_numbers(x, form), x * factor, x)


def _missing(x: Tensor, severity: int, key: int, position: Tensor, form: Form) -> Tensor:
    """Gaps: one span of each wave silent, of each series unknown; of tables single cells unknown."""
    share = (0.05, 0.1, 0.2, 0.35, 0.5)[severity - 1]
    if form["modality"] == "table":
        return torch.where(_uniform(key, "gap", position, x.shape[1]) < share, torch.nan, x)
    n = x.shape[-1]
    start = (_uniform(key, "gap", position, 1) * (1 - share) * n).long()
    place = torch.arange(n, device=x.device)
    gap = ((place >= start) & (place < start + share * n)).view(len(x), *[1] * (x.dim() - 2), n)
    return torch.where(gap, 0.0 if form["modality"] == "audio" else torch.nan, x)


_OTHERS: Mapping[str, Callable[[Tensor, int, int, Tensor, Form], Tensor]] = {
    "noise": _noise,
    "scale": _rescaled,
    "missing": _missing,
}
