"""The widths of a bilateral filter as files that can be looked at, changed and given back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ipse.errors import UserError

_WHITE = 65535


def write(maps: NDArray[np.float32], path: Path, most: float) -> None:
    """Maps (stages, 3, h, w), in a .npy as they are, in a .png as grey of 16 bits: stages below each other, sigma_x, sigma_y and sigma_r side by side.

    Grey is the square root of sigma / most, so that small ones can be told apart.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}")
    try:
        if path.suffix == ".npy":
            with draft.open("wb") as file:
                np.save(file, maps)
        elif path.suffix == ".png":
            grey = np.sqrt((maps / most).clip(0, 1)) * _WHITE
            tiled = grey.round().astype(np.uint16).transpose(0, 2, 1, 3).reshape(maps.shape[0] * maps.shape[2], -1)
            Image.fromarray(tiled).save(draft, "PNG")
        else:
            raise UserError(f"widths are kept in a .npy or a .png, not in {path.name}")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read(path: Path, stages: int, most: float) -> NDArray[np.float32]:
    """Maps (stages, 3, h, w) as `write` wrote them, whoever changed them since; raises UserError where they are none."""
    try:
        if path.suffix == ".npy":
            maps = np.load(path, allow_pickle=False)
        else:
            with Image.open(path) as image:
                grey = np.asarray(image)
            white = _WHITE if grey.dtype.itemsize > 1 else 255
            grey = grey[..., 0] if grey.ndim == 3 else grey
            split = grey.reshape(stages, grey.shape[0] // stages, 3, grey.shape[1] // 3).transpose(0, 2, 1, 3)
            maps = (split / white) ** 2 * most
    except (OSError, ValueError) as error:
        raise UserError(f"no widths can be read from {path}: {error}") from error
    if maps.ndim != 4 or maps.shape[:2] != (stages, 3) or maps.dtype.kind not in "fiu":
        raise UserError(f"the widths in {path} must be numbers ({stages}, 3, h, w), not {maps.dtype} {maps.shape}")
    if not np.isfinite(maps).all() or maps.min() < 0:
        raise UserError(f"the widths in {path} must be finite and not negative")
    found: NDArray[np.float32] = maps.astype(np.float32)
    return found
