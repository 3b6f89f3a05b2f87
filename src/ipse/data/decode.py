"""One picture file, of whatever kind, as bytes of a given size."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ipse.data.images import Bytes

# Formats that Pillow reads by itself, without starting other programs (as it does for EPS), and how their files are called.
_FORMATS = {
    "AVIF": (".avif",),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "HEIF": (".heic", ".heif"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "JPEG2000": (".jp2", ".j2k"),
    "PNG": (".png", ".apng"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "TGA": (".tga",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_HUGE = 1 << 24  # pixels
_one_huge_at_a_time = threading.Lock()


class UnreadableError(Exception):
    """A picture that cannot be decoded, and why."""


class Decoded(NamedTuple):
    """A picture: x (C, side, side) uint8, width / height as it was, and whether its file is grey."""

    x: Bytes
    aspect: float
    grey: bool


@cache
def formats() -> dict[str, tuple[str, ...]]:
    """The formats that this Pillow can read, each with the endings of its files' names."""
    Image.init()
    return {name: endings for name, endings in _FORMATS.items() if name in Image.OPEN}


@cache
def extensions() -> frozenset[str]:
    """The endings of names of picture files."""
    return frozenset(ending for endings in formats().values() for ending in endings)


def probe(file: IO[bytes]) -> tuple[int, bool] | None:
    """The short side of a picture and whether it is grey, from its header; None when it cannot be read."""
    try:
        with opened(file) as image:
            return min(image.size), _is_grey(image)
    except UnreadableError:
        return None


def size_of(path: Path) -> tuple[int, int] | None:
    """Height and width of an upright picture, from the header of its file; None when it cannot be read."""
    try:
        with path.open("rb") as file, opened(file) as image:
            return image.size if _orientation(image) >= 5 else image.size[::-1]
    except (OSError, UnreadableError):
        return None


def decode(file: IO[bytes], side: int, channels: int) -> Decoded:
    """Decodes a file and squashes the whole picture to (channels, side, side), with 1 channel (grey) or 3 (red, green, blue).

    Upright by its EXIF orientation; the first of several frames; transparent parts white; more than 8 bits by the depth
    (10, 12, 16) that holds the brightest pixel; floats from [0, 1] or else from their own range.
    Raises UnreadableError with a plain reason.
    """
    with opened(file) as image:
        width, height = image.size
        image.draft(None, (2 * side, 2 * side))  # a JPEG can be decoded at 1/2, 1/4 or 1/8 of its size
        with _one_huge_at_a_time if image.width * image.height > _HUGE else nullcontext():
            image.load()
            grey, orientation = _is_grey(image), _orientation(image)
            small = _squashed(image, side)
    small = small.convert("L" if channels == 1 else "RGB")
    if orientation in _UPRIGHT:
        small = small.transpose(_UPRIGHT[orientation])
    aspect = height / width if orientation >= 5 else width / height
    return Decoded(np.asarray(small).reshape(side, side, channels).transpose(2, 0, 1), aspect, grey)


@contextmanager
def quiet() -> Iterator[None]:
    """Silences Pillow's remarks on odd files: what cannot be read is listed, and what can is no concern of the user's."""
    logger = logging.getLogger("PIL")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def opened(file: IO[bytes]) -> Iterator[Image.Image]:
    """Opens a picture, and turns every way in which a decoder may fail into one."""
    try:
        if not file.read(1):
            raise UnreadableError("the file is empty")
        file.seek(0)
        with Image.open(file, formats=list(formats())) as image:
            if 0 in image.size:
                raise UnreadableError("the picture has no pixels")
            yield image
    except UnreadableError:
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableError(f"decompression bomb: more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels") from error
    except UnidentifiedImageError as error:
        raise UnreadableError("not a picture of a known format") from error
    except Exception as error:  # a decoder fed with garbage may raise anything
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UnreadableError("the file is truncated" if "truncated" in reason.lower() else f"broken: {reason}") from error


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # broken EXIF data do not make a broken picture
        return 1


def _is_deep(image: Image.Image) -> bool:
    return image.mode == "F" or image.mode.startswith("I")


def _is_grey(image: Image.Image) -> bool:
    if image.mode == "P" and image.palette is not None:
        colours = np.frombuffer(bytes(image.getpalette("RGB") or ()), np.uint8).reshape(-1, 3)
        return bool((colours == colours[:, :1]).all())
    return image.mode in ("1", "L", "LA", "La") or _is_deep(image)


def _squashed(image: Image.Image, side: int) -> Image.Image:
    """The picture in 8 bits at (side, side), averaged over the areas that become one pixel, its transparent parts white."""
    if _is_deep(image):
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
    else:
        image = image.convert("L" if _is_grey(image) else "RGB")
    small = image.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
    if small.mode == "RGBA":
        small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small)
    elif small.mode == "F":
        small = Image.fromarray(np.asarray(small).round().clip(0, 255).astype(np.uint8))
    return small


def _eight_bits(pixels: NDArray[np.generic]) -> NDArray[np.float32]:
    """Deep pixels (H, W) as floats in [0, 255]."""
    values = pixels.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UnreadableError("contains NaN or infinite values")
    if pixels.dtype.kind == "f":
        low, high = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)
    elif low >= 0:
        low, high = 0.0, next((2.0**bits - 1 for bits in (8, 10, 12, 16) if high < 2**bits), high)
    return ((values - low) * (255 / ((high - low) or 1))).astype(np.float32)
