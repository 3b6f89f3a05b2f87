import base64
import io

import numpy as np
import pytest
from PIL import Image

from ipse.reports.sprite import sprite


def picture(made):
    return np.asarray(
        Image.open(io.BytesIO(base64.b64decode(made["uri"].removeprefix("data:image/webp;base64,")))).convert("RGB")
    )


def tile(made, i):
    x, y = (i % made["columns"]) * made["width"], i // made["columns"] * made["height"]
    return picture(made)[y : y + made["height"], x : x + made["width"]]


@pytest.mark.parametrize("n", [1, 2, 5, 9])
@pytest.mark.parametrize("channels", [1, 3])
def test_small_thumbnails_are_kept_exactly(n, channels):
    x = np.random.default_rng(0).integers(0, 256, (n, 6, 8, channels), dtype=np.uint8)
    made = sprite(x)
    assert (made["width"], made["height"]) == (8, 6)
    for i in range(n):
        np.testing.assert_array_equal(tile(made, i), np.broadcast_to(x[i], (6, 8, 3)))


def test_large_thumbnails_shrink_and_keep_their_aspect():
    x = np.zeros((3, 200, 100, 3), dtype=np.uint8)
    x[1] = 200, 100, 50
    made = sprite(x)
    assert (made["width"], made["height"]) == (32, 64)
    assert np.abs(tile(made, 1).astype(int) - (200, 100, 50)).max() <= 8
    assert np.abs(tile(made, 0).astype(int)).max() <= 8


def test_the_budget_holds_even_for_what_cannot_be_compressed():
    x = np.random.default_rng(0).integers(0, 256, (200, 64, 64, 1), dtype=np.uint8)
    assert len(sprite(x, budget=60_000)["uri"]) < 60_000 * 1.4
