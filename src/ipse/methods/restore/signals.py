"""Signals between their files and the tensors that methods take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ipse.data import clips, photos
from ipse.data.decode import UnreadableError
from ipse.data.photos import Photo
from ipse.errors import UserError
from ipse.methods.restore import Restorer
from ipse.methods.restore.lazy import Lazy
from ipse.methods.restore.tiles import SIDE, restore_tiled, restore_whole
from ipse.transforms.colour import luma

Signal = Photo | NDArray[Any]


def read(path: Path, takes: str = "image") -> Signal:
    """What a file holds: a photo where a method takes images, else the array of a .npy; raises UnreadableError with a plain reason."""
    if path.suffix.lower() != ".npy":
        if takes == "frames":
            return clips.read(path)
        if takes != "image":
            raise UnreadableError(f"a picture, and the method takes {takes}: .npy files")
        return photos.read(path)
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UnreadableError(f"no array that can be read: {error}") from error
    try:
        return photo_of(array) if takes == "image" else checked(array, takes)
    except UserError as error:
        raise UnreadableError(str(error)) from error


def photo_of(array: NDArray[Any]) -> Photo:
    """An array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, uint16, or floats in [0, 1] as a photo; raises UserError for others."""
    pixels = array[..., None] if array.ndim == 2 else array
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or 0 in pixels.shape:
        raise UserError(f"a picture is an array (H, W), (H, W, 3) or (H, W, 4), not {array.shape}")
    if pixels.dtype.kind == "f":
        if not np.isfinite(pixels).all():
            raise UserError("the picture contains NaN or infinite values")
        if pixels.min() < 0 or pixels.max() > 1:
            raise UserError(f"a picture of floats is in [0, 1], this one from {pixels.min():g} to {pixels.max():g}")
        high = 1.0
    elif pixels.dtype in (np.uint8, np.uint16):
        high = float(np.iinfo(pixels.dtype).max)
    else:
        raise UserError(f"a picture is of uint8, uint16 or floats, not {pixels.dtype}")
    alpha = pixels[..., 3] if pixels.shape[2] == 4 else None
    return Photo(pixels[..., :3], alpha, high=high)


def array_of(photo: Photo) -> NDArray[Any]:
    """A photo as an array (H, W) or (H, W, 3), with its transparency (H, W, 4)."""
    if photo.alpha is None:
        return photo.pixels[..., 0] if photo.channels == 1 else photo.pixels
    return np.concatenate([photo.pixels, photo.alpha[..., None]], axis=2)


def checked(array: NDArray[Any], takes: str) -> NDArray[Any]:
    """An array of the form that methods take as complex, kspace or frames; raises UserError for others."""
    if takes == "frames":
        fits = array.ndim == 3 or (array.ndim == 4 and array.shape[3] in (1, 3))
        form = "(T, H, W) or (T, H, W, 3)"
    else:
        coils = (2, 3) if takes == "kspace" else (2,)
        real = array.ndim == 3 and array.shape[2] == 2 and array.dtype.kind == "f"
        fits = (array.ndim in coils and array.dtype.kind == "c") or real
        form = f"complex (H, W){' or (coils, H, W)' * (takes == 'kspace')}, or real (H, W, 2)"
    if not fits or 0 in array.shape:
        raise UserError(f"{takes} is an array {form}, not {array.dtype} {array.shape}")
    if array.dtype.kind in "fc" and not np.isfinite(array).all():
        raise UserError("the array contains NaN or infinite values")
    return array


def channels_of(signal: Signal) -> int:
    """How many channels a method needs for it: 1 or 3, or as many as there are coils."""
    if isinstance(signal, Photo):
        return signal.channels
    if signal.dtype.kind == "c":
        return len(signal) if signal.ndim == 3 else 1
    return 3 if signal.ndim == 4 and signal.shape[3] == 3 else 1


def tensor_of(signal: Signal, takes: str, channels: int) -> Tensor:
    """A whole signal as a method of so many channels takes it."""
    if isinstance(signal, Photo):
        return _fitted(torch.from_numpy(signal.values())[None], channels)
    if takes == "frames":
        frames = signal[..., None] if signal.ndim == 3 else signal
        x = torch.from_numpy(frames.astype(np.float32) / _white(signal)).movedim(-1, 1)[None]
        return _fitted(x, channels)
    parts = np.stack([signal.real, signal.imag], axis=-3) if signal.dtype.kind == "c" else signal.transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(parts.reshape(-1, *parts.shape[-2:]), dtype=np.float32))[None]


@torch.no_grad()
def restored(method: Restorer, signal: Signal, *, strength: float = 1.0, side: int = SIDE) -> Signal:
    """The restored signal, of the depth it had; a photo is mixed with what it was where `strength` is not 1."""
    if not isinstance(signal, Photo):
        return _restored_array(method, signal)
    pixels = np.empty_like(signal.pixels)

    def part(rows: slice, columns: slice) -> Tensor:
        return torch.from_numpy(signal.values(rows, columns))[None]

    def put(rows: slice, columns: slice, y: Tensor) -> None:
        y = _fitted(y.float(), signal.channels)
        y = y if strength == 1 else part(rows, columns).lerp(y, strength)
        pixels[rows, columns] = signal.stored(y[0].numpy())

    restore_tiled(method, signal.shape, lambda rows, columns: _fitted(part(rows, columns), method.channels), put, side)
    return signal.with_pixels(pixels)


def _restored_array(method: Restorer, array: NDArray[Any]) -> NDArray[Any]:
    y = restore_whole(method, tensor_of(array, method.takes, method.channels))[0]
    if method.takes != "frames":
        return y[0].numpy().astype(np.float32)
    white = _white(array)
    frames = y.movedim(1, -1).numpy() * white
    frames = frames if array.dtype.kind == "f" else frames.clip(0, white).round()
    return frames[..., 0].astype(array.dtype) if array.ndim == 3 else frames.astype(array.dtype)


def _white(array: NDArray[Any]) -> float:
    return 1.0 if array.dtype.kind == "f" else float(np.iinfo(array.dtype).max)


def _fitted(x: Tensor, channels: int) -> Tensor:
    """x (..., C, H, W) with so many channels: grey in three equal ones, colour as its luma."""
    if x.shape[-3] == channels:
        return x
    if channels == 3:
        return x.expand(*x.shape[:-3], 3, *x.shape[-2:])
    return luma(x)


class Signals(Lazy):
    """Files as tensors that are read when they are asked for."""

    def __init__(self, paths: Sequence[Path], takes: str, channels: int):
        self.paths = list(paths)
        super().__init__(len(self.paths), lambda i: tensor_of(read(self.paths[i], takes), takes, channels))
