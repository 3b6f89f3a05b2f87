"""All thumbnails in one small picture."""

from __future__ import annotations

import base64
import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BUDGET = 700_000  # bytes; a data URI takes 4/3 of that
LARGEST = 64  # pixels on a thumbnail's long side


def sprite(thumbnails: NDArray[np.uint8], budget: int = BUDGET, largest: int = LARGEST) -> dict[str, Any]:
    """Packs `thumbnails` (N, H, W, 1 or 3), uint8, row by row into one WebP picture: its data URI, columns and tile size.

    Thumbnails are never enlarged; they shrink to at most `largest` pixels a side, and so far that one bit per pixel fits the `budget`
    in bytes. Small sprites are kept exactly; large ones lose quality until they fit.
    """
    n = len(thumbnails)
    tiles = _shrink(thumbnails, min(largest, math.isqrt(8 * budget // n)))
    columns = math.ceil(math.sqrt(n))
    _, height, width, _ = tiles.shape
    sheet = np.zeros((columns * columns, height, width, 3), dtype=np.uint8)
    sheet[:n] = tiles
    rows = math.ceil(n / columns)
    sheet = sheet[: rows * columns].reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    picture = Image.fromarray(np.ascontiguousarray(sheet).reshape(rows * height, columns * width, 3))
    uri = "data:image/webp;base64," + base64.b64encode(_encode(picture, budget)).decode()
    return {"uri": uri, "columns": columns, "width": width, "height": height}


def _encode(picture: Image.Image, budget: int) -> bytes:
    # Lossless coding rarely takes less than a third of the raw bytes: don't spend seconds on finding that out.
    exact: list[dict[str, Any]] = [{"lossless": True}] if 3 * picture.width * picture.height < 3 * budget else []
    blob = b""
    for options in [*exact, *({"quality": quality} for quality in (85, 65, 45, 25, 0))]:
        stream = io.BytesIO()
        picture.save(stream, "WEBP", method=3, **options)
        blob = stream.getvalue()
        if len(blob) <= budget:
            break
    return blob


def _shrink(thumbnails: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Brings (N, H, W, 1 or 3) to (N, h, w, 3) with max(h, w) at most `side`, keeping the aspect."""
    n, height, width, channels = thumbnails.shape
    rgb = np.broadcast_to(thumbnails, (n, height, width, 3)) if channels == 1 else thumbnails
    scale = side / max(height, width)
    if scale >= 1:
        return rgb
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.stack([np.asarray(Image.fromarray(np.ascontiguousarray(x)).resize(size, Image.Resampling.BOX)) for x in rgb])
