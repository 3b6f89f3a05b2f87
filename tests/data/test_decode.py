"""Every kind of picture file becomes bytes, or a plain reason why not."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from ipse.data import decode as module
from ipse.data.decode import UnreadableError, extensions, quiet

T = Image.Transpose
UNDO = {
    2: T.FLIP_LEFT_RIGHT,
    3: T.ROTATE_180,
    4: T.FLIP_TOP_BOTTOM,
    5: T.TRANSPOSE,
    6: T.ROTATE_90,
    7: T.TRANSVERSE,
    8: T.ROTATE_270,
}


def decode(data, side, channels):
    return module.decode(io.BytesIO(data), side, channels)


def probe(data):
    return module.probe(io.BytesIO(data))


def solid(mode, colour, size=(6, 4)):
    return Image.new(mode, size, colour)


def png_that_claims(width, height):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunk(b"IDAT", b"")


def test_colours_are_kept_and_the_shape_is_squashed(encoded):
    x, aspect, grey = decode(encoded(solid("RGB", (10, 200, 30), (6, 4))), 4, 3)
    assert x.shape == (3, 4, 4)
    assert x.dtype == np.uint8
    assert [set(channel.ravel()) for channel in x] == [{10}, {200}, {30}]
    assert (aspect, grey) == (1.5, False)


def test_a_picture_of_its_own_size_is_not_touched(encoded, picture):
    image = picture(0, 8, 8)
    assert (decode(encoded(image), 8, 3).x == np.asarray(image).transpose(2, 0, 1)).all()


def test_pixels_are_averages_of_areas(encoded):
    checker = np.indices((64, 64)).sum(0) % 2 * 255
    x = decode(encoded(Image.fromarray(checker.astype(np.uint8))), 4, 1).x
    assert abs(x.astype(int) - 127.5).max() <= 1


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_grey(encoded, mode):
    data = encoded(solid("L", 255).convert(mode))
    assert probe(data) == (4, True)
    assert decode(data, 2, 1).x.tolist() == [[[255, 255], [255, 255]]]
    assert decode(data, 2, 3).x.shape == (3, 2, 2)


def test_a_palette_is_grey_when_its_colours_are(encoded):
    assert probe(encoded(solid("L", 77).convert("P"))) == (4, True)
    assert probe(encoded(solid("RGB", (200, 0, 0)).convert("P"))) == (4, False)
    assert decode(encoded(solid("RGB", (255, 0, 0)).convert("P")), 1, 3).x.ravel().tolist() == [255, 0, 0]


def test_transparent_parts_are_white(encoded):
    assert decode(encoded(solid("RGBA", (255, 0, 0, 0))), 1, 3).x.ravel().tolist() == [255, 255, 255]
    half = decode(encoded(solid("RGBA", (255, 0, 0, 128))), 1, 3).x.ravel().astype(int)
    assert abs(half - [255, 127, 127]).max() <= 1
    assert decode(encoded(solid("LA", (0, 0))), 1, 1).x.item() == 255
    palette = solid("P", 1)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    assert decode(encoded(palette, transparency=1), 1, 3).x.ravel().tolist() == [255, 255, 255]
    assert decode(encoded(palette), 1, 3).x.ravel().tolist() == [255, 0, 0]


@pytest.mark.parametrize(("top", "bits"), [(200, 8), (1000, 10), (4000, 12), (60000, 16)])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_deep_pictures_are_scaled_by_the_depth_that_holds_their_maximum(encoded, kind, top, bits):
    deep = np.full((4, 4), top // 2, np.uint16)
    deep[0] = top
    x = decode(encoded(Image.fromarray(deep), kind), 4, 1).x[0]
    assert x[0, 0] == round(top * 255 / (2**bits - 1))
    assert x[3, 0] == round(top // 2 * 255 / (2**bits - 1))
    assert probe(encoded(Image.fromarray(deep), kind)) == (4, True)


def test_float_tiff(encoded):
    unit = np.array([[0, 1], [0.5, 0.25]], np.float32)
    assert decode(encoded(Image.fromarray(unit), "TIFF"), 2, 1).x[0].tolist() == [[0, 255], [128, 64]]
    assert decode(encoded(Image.fromarray(unit * 8 - 4), "TIFF"), 2, 1).x[0].tolist() == [[0, 255], [128, 64]]
    unit[0, 0] = np.nan
    with pytest.raises(UnreadableError, match="contains NaN"):
        decode(encoded(Image.fromarray(unit), "TIFF"), 2, 1)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(encoded, kind, orientation):
    upright = Image.new("RGB", (32, 16), "black")
    upright.paste((255, 255, 255), (0, 0, 16, 8))
    upright.paste((128, 128, 128), (16, 0, 32, 8))
    stored = upright.transpose(UNDO[orientation]) if orientation in UNDO else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    x, aspect, _ = decode(encoded(stored, kind, exif=exif), 4, 1)
    assert aspect == 2
    assert abs(x[0, ::3, ::3].astype(int) - [[255, 128], [0, 0]]).max() <= 12


def test_first_frame_of_an_animation(encoded):
    frames = [solid("RGB", colour) for colour in ((255, 0, 0), (0, 0, 255))]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        assert abs(decode(data, 1, 3).x.ravel().astype(int) - [255, 0, 0]).max() <= 6


def test_the_first_of_the_pictures_of_a_camera(encoded):
    red, blue = (solid("RGB", colour, (16, 16)) for colour in ((255, 0, 0), (0, 0, 255)))
    data = encoded(red, "MPO", save_all=True, append_images=[blue])
    assert abs(decode(data, 1, 3).x.ravel().astype(int) - [255, 0, 0]).max() <= 6


def test_cmyk(encoded):
    x = decode(encoded(solid("CMYK", (0, 255, 255, 0), (16, 16)), "JPEG"), 1, 3).x.ravel().astype(int)
    assert abs(x - [255, 0, 0]).max() <= 6


def test_a_huge_jpeg_is_the_same_small_picture(encoded, picture):
    huge = picture(0, 6, 4).resize((3000, 2000), Image.Resampling.BICUBIC)
    small = decode(encoded(huge, "JPEG", quality=95), 8, 3).x.astype(int)
    assert abs(small - np.asarray(huge.resize((8, 8), Image.Resampling.BILINEAR)).transpose(2, 0, 1)).max() <= 8


def test_one_pixel(encoded):
    assert decode(encoded(solid("RGB", (1, 2, 3), (1, 1))), 5, 3).x[:, 4, 4].tolist() == [1, 2, 3]
    assert decode(encoded(solid("RGB", (1, 2, 3), (1, 1))), 1, 3).x.ravel().tolist() == [1, 2, 3]


def test_what_cannot_be_read_has_a_plain_reason(encoded, picture):
    whole = encoded(picture(0, 64, 64), "JPEG")
    cases = {
        b"": "the file is empty",
        b"just some text": "not a picture of a known format",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n": "not a picture of a known format",
        whole[: len(whole) // 2]: "the file is truncated",
        whole[:30]: "",
        png_that_claims(20000, 20000): "decompression bomb: more than",
        png_that_claims(8, 8): "",
        encoded(picture(0, 64, 64))[:300]: "the file is truncated",
    }
    for data, reason in cases.items():
        with quiet(), pytest.raises(UnreadableError) as error:
            decode(data, 8, 3)
        assert reason in str(error.value)
        assert "\n" not in str(error.value)
        assert probe(data) is None or probe(data) in ((64, False), (8, False))


def test_endings_of_pictures_are_known():
    assert {".jpg", ".jpeg", ".png", ".gif", ".tif", ".webp", ".bmp"} <= extensions()
    assert not {".eps", ".pdf", ".txt", ".svg"} & extensions()
