"""Views of pictures: one resampling for all geometry and blur, one matrix per sample for all linear colour operations.

Every parameter is drawn per sample from (key, position in the global batch); the arithmetic runs on the whole batch, on its
device.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ipse import randomness
from ipse.data import Raw
from ipse.transforms.colour import LUMA, hue_rotation
from ipse.transforms.policy import Policy
from ipse.transforms.sees import Look
from ipse.transforms.view import View
from ipse.transforms.viewer import Viewer


@dataclass(frozen=True)
class ImagePolicy(Policy):
    """How far strong views of pictures may go.

    The defaults are those of MoCo v2 (Chen et al., 2020, arXiv:2003.04297) for colour pictures: SimCLR's (arXiv:2002.05709)
    with larger crops and milder colours.
    """

    crop: tuple[float, float] = (0.2, 1.0)  # share of the picture's area
    ratio: tuple[float, float] = (3 / 4, 4 / 3)  # width / height of the crop
    flip: float = 0.5
    flip_vertical: float = 0.0
    rotation: float = 0.0  # degrees, to either side
    jitter: float = 0.8  # chance that the next four apply
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1  # turns
    grey: float = 0.2
    blur: float = 0.5
    sigma: tuple[float, float] = (0.1, 2.0)  # pixels of the view
    solarize: float = 0.0
    noise: float = 0.0  # standard deviation, on the scale [0, 1]
    cutout: float = 0.0
    cutout_area: tuple[float, float] = (0.02, 0.33)

    modality: ClassVar[str] = "image"
    limits: ClassVar[Mapping[str, tuple[float, float]]] = {
        "ratio": (0.01, 100.0),
        "rotation": (0.0, 180.0),
        "hue": (0.0, 0.5),
        **dict.fromkeys(("brightness", "contrast", "saturation", "sigma", "noise"), (0.0, math.inf)),
    }

    @staticmethod
    def usual(channels: int, size: int) -> ImagePolicy:
        """The usual policy for pictures of this kind.

        Blur is in proportion to the size; data with one channel (digits, text, scans) is not mirrored.
        """
        blur = (0.1 * size / 224, 2.0 * size / 224)
        if channels == 3:
            return ImagePolicy(sigma=blur)
        return ImagePolicy(sigma=blur, flip=0.0, saturation=0.0, hue=0.0, grey=0.0)

    def weak(self) -> ImagePolicy:
        """Only a mild crop and the mirror image."""
        return replace(self, crop=(0.6, 1.0), rotation=0.0, jitter=0.0, grey=0.0, blur=0.0, solarize=0.0, noise=0.0, cutout=0.0)


class ImageViewer(Viewer[ImagePolicy]):
    """Views of pictures at `size` pixels a side, laid out channels last: convolutions are faster so, on CPU and GPU."""

    def __init__(self, policy: ImagePolicy, size: int):
        self.policy, self.size = policy, size

    def view(self, raw: Raw, look: Look, key: int, position: Tensor) -> View:
        size = max(1, round(self.size * look.scale))
        if look.strength == "none":
            view = original(raw["x"], raw["aspect"], size)
        else:
            view = make_view(raw["x"], raw["aspect"], self.policy_of(look), size, key, position)
        view.x = view.x.contiguous(memory_format=torch.channels_last)
        return view


def make_view(source: Tensor, aspect: Tensor, policy: ImagePolicy, size: int, key: int, position: Tensor) -> View:
    """Draws one view per picture.

    source: (B, C, H, W) uint8, each picture squashed to H x W. aspect: (B,) width / height before that. size: side of the view
    in pixels. key, position: where the random numbers come from (`ipse.randomness`); position is int64 (B,).
    """
    draw = _Draws(key, position)
    scale, shift = _crop(draw, aspect, policy)
    matrix = torch.diag_embed(scale)
    if policy.rotation:
        matrix = matrix @ _rotation(draw, aspect, scale, policy.rotation)
    sigma = _blur_sigma(draw, policy) if policy.blur and policy.sigma[1] > 0.3 else None
    needed = (source, matrix, shift, *_colour_maps(draw, policy, source.shape[1]), *(() if sigma is None else (sigma,)))
    x = torch.empty(*source.shape[:2], size, size, device=source.device)
    parts = zip(*(t.split(_samples_at_once(source, size)) for t in (x, *needed)), strict=True)
    colour = torch.cat([_picture(*part, size=size, separable=not policy.rotation) for part in parts])
    if policy.solarize:
        chosen = draw("solarize") < policy.solarize
        x = torch.where(chosen[:, None, None, None], -x.abs(), x)
    if policy.noise:
        noise = randomness.normal(randomness.key(key, "noise"), position, x[0].numel()).view_as(x)
        x = (x + 2 * policy.noise * noise).clamp_(-1, 1)
    if policy.cutout:
        x = _cutout(draw, x, policy)
    return View(x, torch.cat([matrix, shift[:, :, None]], dim=2), colour)


def _samples_at_once(source: Tensor, size: int, most: int = 1 << 22) -> int:
    """How many pictures to work on at a time: on a CPU so many that `most` numbers, which fit in its caches, hold them."""
    _, c, h, w = source.shape
    return len(source) if source.device.type != "cpu" else max(1, most // (c * max(h * w, size * size)))


def _picture(
    out: Tensor,
    source: Tensor,
    matrix: Tensor,
    shift: Tensor,
    deviation: Tensor,
    mean: Tensor,
    sigma: Tensor | None = None,
    *,
    size: int,
    separable: bool,
) -> Tensor:
    """Writes the resampled and recoloured pictures to `out`, and gives the colour map that was applied."""
    return _recolour(_warp(source, matrix, shift, sigma, size, separable=separable), (deviation, mean), out)


def original(source: Tensor, aspect: Tensor, size: int) -> View:
    """The middle of each picture, as large a square as fits, at `size` pixels."""
    scale = torch.stack([1 / aspect.clamp(min=1), aspect.clamp(max=1)], dim=1)
    shift = torch.zeros_like(scale)
    matrix = torch.diag_embed(scale)
    x = _warp(source, matrix, shift, None, size, separable=True)
    colour = torch.eye(x.shape[1], x.shape[1] + 1, device=x.device).expand(len(x), -1, -1)
    return View((x / 127.5 - 1).contiguous(), torch.cat([matrix, shift[:, :, None]], dim=2), colour)


class _Draws:
    """Named uniform numbers per sample: those that most views need in one block, the others one by one."""

    def __init__(self, key: int, position: Tensor):
        self.key, self.position = key, position
        keys = [randomness.key(key, name) for name in _USUAL]
        self.block = dict(zip(_USUAL, _uniform_block(keys, list(_USUAL.values()), position), strict=True))

    def __call__(self, name: str) -> Tensor:
        return self.many(name, 1)[:, 0]

    def many(self, name: str, n: int) -> Tensor:
        if name in self.block:
            return self.block[name][:, :n]
        return randomness.uniform(randomness.key(self.key, name), self.position, n)

    def between(self, name: str, low: float, high: float) -> Tensor:
        return low + (high - low) * self(name)


_TRIES = 10
_USUAL = {"crop": 2 * _TRIES, "place": 2, "flip": 2, "blur": 1, "sigma": 1, "jitter": 1, "order": 4, "grey": 1} | dict.fromkeys(
    ("brightness", "contrast", "saturation", "hue"), 1
)


def _uniform_block(keys: list[int], counts: list[int], position: Tensor) -> list[Tensor]:
    """What `randomness.uniform` gives for each key and number of columns, by a few operations on all of them together."""
    device, mask = position.device, 0xFFFFFFFF
    key = torch.tensor([k for k, n in zip(keys, counts, strict=True) for _ in range(n)], device=device)
    place = torch.tensor([i for n in counts for i in range(n)], device=device)
    mix = randomness._mix
    row = mix((position & mask)[:, None] ^ key)
    row = mix(row ^ (position >> 32)[:, None] ^ 0x9E3779B9)
    return list(((mix(row ^ mix(place + (key ^ 0x85EBCA6B))) >> 8).float() * 2.0**-24).split(counts, dim=1))


def _crop(draw: _Draws, aspect: Tensor, policy: ImagePolicy) -> tuple[Tensor, Tensor]:
    """Scale and shift (B, 2) of a random crop with flips.

    It is the first of ten random areas and ratios that fits, else the largest crop in the middle with an allowed ratio.
    """
    aspect = aspect[:, None]
    u = draw.many("crop", 2 * _TRIES)
    area = (policy.crop[0] + (policy.crop[1] - policy.crop[0]) * u[:, :_TRIES]) * aspect
    low, high = math.log(policy.ratio[0]), math.log(policy.ratio[1])
    ratio = torch.exp(low + (high - low) * u[:, _TRIES:])
    width, height = torch.sqrt(area * ratio) / aspect, torch.sqrt(area / ratio)  # as shares of the picture's sides
    fits = (width <= 1) & (height <= 1)
    first = fits.float().argmax(dim=1, keepdim=True)
    bounded = aspect.clamp(*policy.ratio)
    whole = torch.cat([(bounded / aspect).clamp(max=1), (aspect / bounded).clamp(max=1)], dim=1)
    found = torch.cat([width.gather(1, first), height.gather(1, first)], dim=1)
    any_fits = fits.any(dim=1, keepdim=True)
    side = torch.where(any_fits, found, whole)
    shift = any_fits * (1 - side) * (2 * draw.many("place", 2) - 1)
    flips = draw.many("flip", 2) < torch.tensor([policy.flip, policy.flip_vertical], device=side.device)
    return torch.where(flips, -side, side), shift


def _rotation(draw: _Draws, aspect: Tensor, scale: Tensor, degrees: float) -> Tensor:
    """Rotations (B, 2, 2) of the view about its centre that keep right angles of the picture right."""
    angle = math.radians(degrees) * (2 * draw("rotation") - 1)
    stretch = (scale[:, 0].abs() * aspect) / scale[:, 1].abs()  # width / height of the crop in the picture
    cos, sin = torch.cos(angle), torch.sin(angle)
    return torch.stack([torch.stack([cos, -sin / stretch], 1), torch.stack([sin * stretch, cos], 1)], 1)


def _blur_sigma(draw: _Draws, policy: ImagePolicy) -> Tensor:
    sigma = draw.between("sigma", *policy.sigma)
    return torch.where(draw("blur") < policy.blur, sigma, torch.zeros_like(sigma))


def _warp(source: Tensor, matrix: Tensor, shift: Tensor, sigma: Tensor | None, size: int, *, separable: bool) -> Tensor:
    """Resamples the pictures (B, C, H, W) to (B, C, size, size), still on the scale 0..255.

    Without rotation the map is a product of a map of rows and one of columns, so the crop, the flip, the antialiasing filter
    and the Gaussian blur are two small matrices per sample and the work is two matrix products. With rotation the pictures are
    sampled bilinearly, after smoothing where the view is coarser than the source.
    """
    b, c, h, w = source.shape
    x = source.float()
    blur = _gaussian(sigma, size) if sigma is not None else None
    if separable:
        scale = matrix.diagonal(dim1=1, dim2=2)
        if h == w:  # both ways at once: small operations cost by their number
            both = _resampler(scale.T.reshape(-1), shift.T.reshape(-1), w, size)
            both = both if blur is None else torch.cat([blur, blur]).bmm(both)
            columns, rows = both[:b], both[b:]
        else:
            columns, rows = (_resampler(scale[:, i], shift[:, i], n, size) for i, n in ((0, w), (1, h)))
            columns, rows = (columns, rows) if blur is None else (blur @ columns, blur @ rows)
        return _along_both(x, rows, columns)
    if max(h, w) > size:
        columns, rows = (_smoother(matrix[:, i].norm(dim=1) * n / size, n) for i, n in ((0, w), (1, h)))
        x = _along_both(x, rows, columns)
    grid = F.affine_grid(torch.cat([matrix, shift[:, :, None]], 2), [b, c, size, size], align_corners=False)
    x = F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return x if blur is None else _along_both(x, blur, blur)


def _along_both(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """rows (B, M, H) times x (B, C, H, W) times columns (B, N, W) transposed: (B, C, M, N), laid out as (C, B, M, N).

    One product per channel, each on a plane of its own, so that nothing is copied.
    """
    b, c, h, w = x.shape
    x = torch.bmm(x.reshape(b, c * h, w), columns.transpose(1, 2)).view(b, c, h, columns.shape[1])
    planes = x.new_empty(c, b, rows.shape[1], columns.shape[1])
    for i, plane in enumerate(planes):
        torch.bmm(rows, x[:, i], out=plane)
    return planes.transpose(0, 1)


def _resampler(scale: Tensor, shift: Tensor, n: int, size: int) -> Tensor:
    """Matrices (B, size, n) of linear interpolation, over a wider triangle where the view is coarser than the source."""
    centres = (2 * torch.arange(size, device=scale.device) + 1) / size - 1
    seen = ((scale[:, None] * centres + shift[:, None] + 1) * n - 1) / 2  # in source pixels
    widest = max(1.0, n / size)  # no view shows more than the picture
    return _triangles(seen.clamp(0, n - 1), (scale.abs() * n / size).clamp(1, widest), n, math.ceil(2 * widest))


def _smoother(step: Tensor, n: int) -> Tensor:
    """Matrices (B, n, n) that smooth by what linear interpolation lacks to a triangle over `step` pixels: variances add up."""
    seen = torch.arange(n, device=step.device, dtype=step.dtype).expand(len(step), -1)
    return _triangles(seen, (step**2 - 1).clamp(min=1).sqrt(), n, 2 * n)


def _triangles(centre: Tensor, reach: Tensor, n: int, most: int) -> Tensor:
    """Weights (B, M, n) that fall linearly from each centre (B, M) to nothing `reach` (B,) pixels away, and sum to one.

    Only the `most` places next to a centre are computed: no triangle may be wider.
    """
    reach = reach[:, None, None]
    first = torch.floor(centre[:, :, None] - reach) + 1
    first = first.clamp_(min=0) if most >= n else first
    places = first + torch.arange(min(most, n), device=centre.device)
    weight = torch.sub(1, (places - centre[:, :, None]).abs_().div_(reach)).clamp_(min=0)
    weight *= (places >= 0) & (places < n)
    weight /= weight.sum(dim=2, keepdim=True)
    return weight.new_zeros(*centre.shape, n).scatter_add_(2, places.long().clamp_(0, n - 1), weight)


def _gaussian(sigma: Tensor, size: int) -> Tensor:
    """Blur matrices (B, size, size), rows normalised, cut off at four sigma; sigma 0 leaves the picture as it is."""
    offset = torch.arange(1 - size, size, device=sigma.device, dtype=sigma.dtype)
    cut = 8.0  # exact zeros beyond it: numbers too small to be normal would slow every product down
    kernel = (offset**2 * (-0.5 / sigma.clamp(min=0.05) ** 2)[:, None]).clamp_(min=-cut).exp_()
    kernel = kernel.sub_(math.exp(-cut)).clamp_(min=0)
    weight = kernel.unfold(1, size, 1).flip(1)  # row i holds the kernel around i
    return weight.div_(weight.sum(dim=2, keepdim=True))


def _colour_maps(draw: _Draws, policy: ImagePolicy, channels: int) -> tuple[Tensor, Tensor]:
    """Two matrices (B, C, C) per sample: one for a pixel's deviation from the picture's mean colour, one for that mean itself.

    Brightness f, saturation, hue and grey are linear in the colour. Contrast blends with the mean grey: it multiplies
    deviations by f and moves the mean colour m to f m + (1 - f) luma(m). So every operation is a pair of matrices, and a random
    order of them is a product in that order.
    """
    b, device = len(draw.position), draw.position.device
    eye = torch.eye(channels, device=device).expand(b, -1, -1)
    applies = draw("jitter") < policy.jitter
    grey = _grey(channels, device)

    def factor(name: str, strength: float) -> Tensor:
        f = draw.between(name, max(0.0, 1 - strength), 1 + strength)
        return torch.where(applies, f, torch.ones_like(f))[:, None, None]

    brightness, contrast = factor("brightness", policy.brightness), factor("contrast", policy.contrast)
    pairs = [(brightness * eye, brightness * eye), (contrast * eye, contrast * eye + (1 - contrast) * grey)]
    if channels == 3 and (policy.saturation or policy.hue):
        saturation = factor("saturation", policy.saturation)
        turn = torch.where(applies, draw.between("hue", -policy.hue, policy.hue), torch.zeros(b, device=device))
        pairs += [(saturation * eye + (1 - saturation) * grey,) * 2, (hue_rotation(turn),) * 2]
    maps = torch.stack([torch.stack(pair, 1) for pair in pairs], 1)  # (B, operation, deviation or mean, C, C)
    order = draw.many("order", len(pairs)).argsort(dim=1)
    maps = maps.gather(1, order[:, :, None, None, None].expand_as(maps))
    result = maps[:, 0]
    for i in range(1, len(pairs)):
        result = maps[:, i] @ result
    if channels == 3 and policy.grey:
        chosen = (draw("grey") < policy.grey)[:, None, None, None]
        result = torch.where(chosen, grey @ result, result)
    return result[:, 0], result[:, 1]


def _recolour(x: Tensor, maps: tuple[Tensor, Tensor], out: Tensor) -> Tensor:
    """Applies the maps to pictures on the scale 0..255, writes them on [-1, 1] to `out`, and gives the map (B, C, C + 1) that holds there."""
    deviation, mean = maps
    flat = x.flatten(2)
    offset = (mean - deviation) @ flat.mean(dim=2, keepdim=True) / 127.5 - 1
    torch.bmm(deviation / 127.5, flat, out=out.flatten(2)).add_(offset).clamp_(-1, 1)
    constant = deviation.sum(dim=2, keepdim=True) + offset  # the map in terms of colours on [-1, 1]
    return torch.cat([deviation, constant], dim=2)


@cache
def _grey(channels: int, device: torch.device) -> Tensor:
    """The matrix that replaces each channel by the luma (by the mean, for other than three channels)."""
    weights = LUMA if channels == 3 else (1 / channels,) * channels
    return torch.tensor(weights, device=device).expand(channels, -1)


def _cutout(draw: _Draws, x: Tensor, policy: ImagePolicy) -> Tensor:
    """Hides a random rectangle of some pictures behind grey (random erasing, Zhong et al., 2020, arXiv:1708.04896)."""
    n = x.shape[-1]
    area = draw.between("cutout area", *policy.cutout_area)
    ratio = torch.exp(draw.between("cutout ratio", math.log(0.3), math.log(3.3)))
    half = 0.5 * torch.stack([torch.sqrt(area * ratio), torch.sqrt(area / ratio)], 1).clamp(max=1)
    centre = half + (1 - 2 * half) * draw.many("cutout place", 2)
    places = (torch.arange(n, device=x.device) + 0.5) / n
    inside = (places - centre[:, :, None]).abs() < half[:, :, None]
    hidden = inside[:, 0, None, None, :] & inside[:, 1, None, :, None] & (draw("cutout") < policy.cutout)[:, None, None, None]
    return x.masked_fill(hidden, 0.0)
