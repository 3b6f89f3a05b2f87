"""Photos keep all that is in their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from ipse.data.decode import UnreadableError
from ipse.data.photos import ENDINGS, Photo, read, shown, write

CASES = [
    (kind, dtype, channels, alpha)
    for kind in ENDINGS
    for dtype in ("uint8", "uint16")
    for channels in (1, 3)
    for alpha in (False, True)
    if not (dtype == "uint16" and (kind in ("JPEG", "WEBP") or (channels == 1 and alpha and kind == "PNG")))
    and not (kind == "JPEG" and alpha)
    and not (kind == "TIFF" and dtype == "uint16" and channels == 1 and alpha)
]


def made(kind: str, dtype: str, channels: int, alpha: bool, **info: Any) -> Photo:
    rng = np.random.default_rng(0)
    top = int(np.iinfo(dtype).max)
    pixels = rng.integers(0, top + 1, (9, 13, channels)).astype(dtype)
    return Photo(
        pixels, rng.integers(1, top + 1, (9, 13)).astype(dtype) if alpha else None, high=float(top), kind=kind, info=info
    )


def profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif() -> bytes:
    tags = Image.Exif()
    tags[0x0110], tags[0x0112] = "Camera", 6
    tags.get_ifd(0x8769)[0x9003] = "2020:01:02 03:04:05"
    return tags.tobytes()


@pytest.mark.parametrize(("kind", "dtype", "channels", "alpha"), CASES)
def test_there_and_back(tmp_path: Path, kind: str, dtype: str, channels: int, alpha: bool) -> None:
    about = {"icc_profile": profile()} | ({} if kind == "TIFF" else {"exif": exif()})
    photo, path = made(kind, dtype, channels, alpha, **about), tmp_path / f"a{ENDINGS[kind]}"
    write(photo, path)
    again = read(path)
    assert again.kind == kind
    assert again.bits == photo.bits
    assert again.shape == photo.shape
    assert (again.alpha is None) == (photo.alpha is None)
    if kind in ("PNG", "TIFF"):
        np.testing.assert_array_equal(again.pixels, photo.pixels)
        if photo.alpha is not None:
            np.testing.assert_array_equal(again.alpha, photo.alpha)
    assert again.info["icc_profile"] == about["icc_profile"]
    if kind != "TIFF":
        with Image.open(path) as image:
            assert image.getexif()[0x0110] == "Camera"
            assert image.getexif()[0x0112] == 6
            assert image.getexif().get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_tags_of_tiff(tmp_path: Path, dtype: str) -> None:
    tags = {"directories": {0x8769: {0x9003: "2020:01:02 03:04:05"}}, "dpi": (300, 300)}
    write(made("TIFF", dtype, 3, False, **tags), tmp_path / "a.tif")
    write(read(tmp_path / "a.tif"), tmp_path / "b.tif")
    with Image.open(tmp_path / "b.tif") as image:
        assert image.getexif().get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
        assert image.info["dpi"] == (300, 300)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_deep_tiff_of_others(tmp_path: Path, order: str, compression: str | None) -> None:
    tifffile = pytest.importorskip("tifffile")
    pixels = made("TIFF", "uint16", 3, False).pixels
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", byteorder=order, compression=compression)
    np.testing.assert_array_equal(read(tmp_path / "a.tif").pixels, pixels)
    write(read(tmp_path / "a.tif"), tmp_path / "b.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), pixels)


def test_deep_png_is_read_by_others(tmp_path: Path) -> None:
    photo = made("PNG", "uint16", 3, True, dpi=(300, 300), text={"Title": "häuser"})
    write(photo, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        image.load()
        assert image.mode == "RGBA"
        np.testing.assert_array_equal(np.asarray(image)[..., :3], photo.pixels >> 8)
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
        assert image.info["Title"] == "häuser"


def test_palettes_and_transparency(tmp_path: Path) -> None:
    rgb = Image.fromarray(made("PNG", "uint8", 3, False).pixels)
    rgb.quantize(4).save(tmp_path / "p.png")
    assert read(tmp_path / "p.png").channels == 3
    rgb.convert("L").quantize(4).save(tmp_path / "grey.png")
    assert read(tmp_path / "grey.png").channels == 1
    rgb.quantize(4).save(tmp_path / "hole.png", transparency=0)
    assert read(tmp_path / "hole.png").alpha is not None
    rgb.save(tmp_path / "key.png", transparency=(1, 2, 3))
    assert read(tmp_path / "key.png").alpha is not None
    Image.new("1", (5, 4)).save(tmp_path / "one.png")
    assert read(tmp_path / "one.png").pixels.shape == (4, 5, 1)
    rgb.quantize(4).save(tmp_path / "still.gif")
    assert read(tmp_path / "still.gif").kind == "PNG"


def test_floats(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 20, dtype=np.float32).reshape(4, 5)
    for scale in (1.0, 30.0):
        Image.fromarray(values * scale).save(tmp_path / "f.tif")
        photo = read(tmp_path / "f.tif")
        np.testing.assert_allclose(photo.values()[0], values, atol=1e-6)
        write(photo, tmp_path / "g.tif")
        np.testing.assert_array_equal(read(tmp_path / "g.tif").pixels[..., 0], values * scale)
    Image.fromarray(np.full((2, 2), np.nan, np.float32)).save(tmp_path / "nan.tif")
    with pytest.raises(UnreadableError, match="NaN"):
        read(tmp_path / "nan.tif")


def test_what_is_refused(tmp_path: Path) -> None:
    Image.new("CMYK", (4, 4)).save(tmp_path / "cmyk.jpg")
    with pytest.raises(UnreadableError, match="CMYK"):
        read(tmp_path / "cmyk.jpg")
    frames = [Image.new("L", (4, 4), v) for v in (0, 100)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(UnreadableError, match="animated"):
        read(tmp_path / "moving.gif")
    frames[0].save(tmp_path / "pages.tif", save_all=True, append_images=frames[1:])
    with pytest.raises(UnreadableError, match="2 pages"):
        read(tmp_path / "pages.tif")
    write(made("PNG", "uint16", 3, False), tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:200])
    with pytest.raises(UnreadableError):
        read(tmp_path / "cut.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(UnreadableError, match="empty"):
        read(tmp_path / "empty.png")
    with pytest.raises(UnreadableError, match="no such file"):
        read(tmp_path / "none.png")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_values_there_and_back(dtype: str) -> None:
    photo = made("PNG", "uint8" if dtype == "float32" else dtype, 3, False)
    if dtype == "float32":
        photo = Photo((photo.pixels / 255).astype(np.float32), None, 0.0, 1.0)
    np.testing.assert_array_equal(photo.stored(photo.values()), photo.pixels)
    part = photo.values(slice(2, 5), slice(1, 3))
    np.testing.assert_array_equal(part, photo.values()[:, 2:5, 1:3])
    assert photo.stored(photo.values() * 10).max() == photo.high


def test_miniatures() -> None:
    photo = Photo(np.zeros((40, 60, 3), np.uint16), np.zeros((40, 60), np.uint16), high=65535.0)
    image = shown(photo, 20)
    assert max(image.size) == 20
    assert np.asarray(image).min() == 255  # what is transparent is white
