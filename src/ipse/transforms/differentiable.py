"""Operations on pictures that pass gradients on to their strength.

Pictures are (B, C, H, W) in [0, 1], each strength (B,) in [0, 1] stands for a value between the two ends in `RANGES`. Where an
operation has no derivative (equalisation, posterisation, solarisation), the gradient passes as if it were the identity, and to the
strength as if that were added.

The table of ranges is that of Tomar et al. (CVPR 2023, arXiv:2303.09870), which follows AutoAugment (arXiv:1805.09501); only the
rotation, whose two ends are the same in the authors' code, goes from 0 to 30 degrees here.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ipse.transforms.colour import luma
from ipse.transforms.jitter import affine_view

Operation = Callable[[Tensor, Tensor], Tensor]

RANGES = {
    "shear_x": (-0.3, 0.3),
    "shear_y": (-0.3, 0.3),
    "translate_x": (-0.45, 0.45),
    "translate_y": (-0.45, 0.45),
    "contrast": (0.1, 1.9),
    "colour": (0.1, 1.9),
    "brightness": (0.1, 1.9),
    "sharpness": (0.1, 1.9),
    "rotate": (0.0, math.pi / 6),
    "auto_contrast": (0.0, 1.0),
    "invert": (0.0, 1.0),
    "equalize": (0.0, 1.0),
    "solarize": (0.0, 1.0),
    "posterize": (4.0, 8.0),
}
NAMES = tuple(RANGES)
EITHER_WAY = ("shear_x", "shear_y", "translate_x", "translate_y")


def apply(x: Tensor, name: str, strength: Tensor, sign: Tensor) -> Tensor:
    """One operation on each picture; sign (B,) of -1 and 1 turns round those that go either way."""
    low, high = RANGES[name]
    value = low + strength * (high - low)
    if name in EITHER_WAY:
        value = value * sign
    return _OPERATIONS[name](x.clamp(0, 1), value).clamp(0, 1)


def _affine(x: Tensor, value: Tensor, still: list[float], moving: list[float]) -> Tensor:
    matrix = torch.tensor(still, device=x.device) + value[:, None] * torch.tensor(moving, device=x.device)
    return affine_view(x, matrix.view(-1, 2, 3).to(x.dtype), "reflection")


def _moved(*moving: float) -> Operation:
    return lambda x, value: _affine(x, value, [1, 0, 0, 0, 1, 0], list(moving))


def _rotate(x: Tensor, value: Tensor) -> Tensor:
    zero = torch.zeros_like(value)
    cos, sin = torch.cos(value), torch.sin(value)
    return affine_view(x, torch.stack([cos, sin, zero, -sin, cos, zero], 1).view(-1, 2, 3).to(x.dtype), "reflection")


def _blend(plain: Tensor, x: Tensor, value: Tensor) -> Tensor:
    return plain + value.view(-1, 1, 1, 1) * (x - plain)


def _contrast(x: Tensor, value: Tensor) -> Tensor:
    return _blend(x.mean((1, 2, 3), keepdim=True), x, value)


def _colour(x: Tensor, value: Tensor) -> Tensor:
    if x.shape[1] != 3:
        return _through(x, x, value)
    return _blend(luma(x), x, value)


def _sharpness(x: Tensor, value: Tensor) -> Tensor:
    kernel = torch.ones(3, 3, device=x.device, dtype=x.dtype)
    kernel[1, 1] = 5
    kernel = (kernel / 13).expand(x.shape[1], 1, 3, 3)
    return _blend(F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, groups=x.shape[1]), x, value)


def _through(result: Tensor, x: Tensor, value: Tensor) -> Tensor:
    """The result, with the gradient of x and of the value straight through."""
    value = value.view(-1, 1, 1, 1)
    return result.detach() + (x - x.detach()) + (value - value.detach())


def _auto_contrast(x: Tensor, value: Tensor) -> Tensor:
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    return _through(torch.where(high > low, (x - low) / (high - low).clamp(min=1e-6), x), x, value)


def _invert(x: Tensor, value: Tensor) -> Tensor:
    value = value.view(-1, 1, 1, 1)
    return 1 - x + (value - value.detach())


def _equalize(x: Tensor, value: Tensor) -> Tensor:
    """Levels of grey by their rank, as PIL and torchvision have it: 256 levels, the last of them left out of the step."""
    levels = (255 * x.detach()).long().flatten(2)
    counts = torch.zeros(*levels.shape[:2], 256, device=x.device).scatter_add_(
        2, levels, torch.ones(levels.shape, device=x.device)
    )
    last = torch.where(counts > 0, torch.arange(256, device=x.device), -1).amax(2, keepdim=True)
    step = torch.div(counts.sum(2, keepdim=True) - counts.gather(2, last), 255, rounding_mode="floor")
    below = F.pad(counts.cumsum(2), (1, 0))[..., :-1]
    table = torch.div(below + torch.div(step, 2, rounding_mode="floor"), step.clamp(min=1), rounding_mode="floor").clamp(0, 255)
    equal = torch.where(step > 0, table.gather(2, levels), levels.float())
    return _through((equal / 255).view_as(x), x, value)


def _solarize(x: Tensor, value: Tensor) -> Tensor:
    return _through(torch.where(x < value.view(-1, 1, 1, 1), x, 1 - x), x, value)


def _posterize(x: Tensor, value: Tensor) -> Tensor:
    """Only the leading bits of each level of 256."""
    step = 2.0 ** (8 - value.detach().floor()).view(-1, 1, 1, 1)
    return _through(torch.floor(torch.floor(255 * x) / step) * step / 255, x, value)


_OPERATIONS: dict[str, Operation] = {
    "shear_x": _moved(0, 1, 0, 0, 0, 0),
    "shear_y": _moved(0, 0, 0, 1, 0, 0),
    "translate_x": _moved(0, 0, 1, 0, 0, 0),
    "translate_y": _moved(0, 0, 0, 0, 0, 1),
    "contrast": _contrast,
    "colour": _colour,
    "brightness": lambda x, value: x * value.view(-1, 1, 1, 1),
    "sharpness": _sharpness,
    "rotate": _rotate,
    "auto_contrast": _auto_contrast,
    "invert": _invert,
    "equalize": _equalize,
    "solarize": _solarize,
    "posterize": _posterize,
}
