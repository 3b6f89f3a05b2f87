"""Pictures beside their masks, for a report."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True)
class Masked:
    """A picture (H, W, 1 or 3), the mask that it was given and the one that was made of it, in colours (S, S, 3); all uint8.

    right: the share of the pixels with a class that have it in both.
    """

    name: str
    picture: NDArray[np.uint8]
    given: NDArray[np.uint8]
    made: NDArray[np.uint8]
    right: float

    @property
    def panels(self) -> list[tuple[str, str]]:
        """What each of the three is called, and its data URI."""
        side = self.given.shape[:2]
        picture = Image.fromarray(self.picture[..., 0] if self.picture.shape[2] == 1 else self.picture).resize(side[::-1])
        return [("picture", _uri(picture)), ("given", _uri(self.given)), ("predicted", _uri(self.made))]


def _uri(pixels: NDArray[np.uint8] | Image.Image) -> str:
    stream = io.BytesIO()
    image: Any = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.ascontiguousarray(pixels))
    image.save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
