"""Photos with all that is in their files: every pixel at its depth, transparency, profile and EXIF; written back as they were."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from ipse.data.decode import UnreadableError, opened, quiet

Pixels = NDArray[Any]

ENDINGS = {"PNG": ".png", "JPEG": ".jpg", "TIFF": ".tif", "WEBP": ".webp"}
_PLAIN = {
    **dict.fromkeys(("1", "L"), "L"),
    **dict.fromkeys(("LA", "La", "PA"), "LA"),
    **dict.fromkeys(("RGB", "RGBX", "YCbCr", "HSV"), "RGB"),
    **dict.fromkeys(("RGBA", "RGBa"), "RGBA"),
}
_STRUCTURE = {
    254,
    255,
    256,
    257,
    258,
    259,
    262,
    266,
    273,
    277,
    278,
    279,
    284,
    317,
    320,
    322,
    323,
    324,
    325,
    338,
    339,
    347,
    530,
    531,
    532,
}
_DIRECTORIES = (0x8769, 0x8825)  # EXIF and GPS


@dataclass(frozen=True)
class Photo:
    """A still picture: pixels (H, W, C) with C = 1 or 3, uint8, uint16 or float32, and its transparency (H, W) where it has one.

    `low` to `high` is what counts as 0 to 1. `kind` is the format of the file it goes back to, `info` what the file says besides.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    low: float = 0.0
    high: float = 255.0
    kind: str = "PNG"
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        return self.pixels.shape[:2]

    @property
    def channels(self) -> int:
        return int(self.pixels.shape[2])

    @property
    def bits(self) -> int:
        return self.pixels.dtype.itemsize * 8

    def values(self, rows: slice = slice(None), columns: slice = slice(None)) -> NDArray[np.float32]:
        """A part of it as (C, h, w) in [0, 1]."""
        part = self.pixels[rows, columns].astype(np.float32)
        return np.ascontiguousarray(((part - np.float32(self.low)) / np.float32(self.high - self.low)).transpose(2, 0, 1))

    def stored(self, values: NDArray[np.float32]) -> Pixels:
        """Values (C, h, w) in [0, 1] as pixels (h, w, C) of this photo's depth."""
        part = values.transpose(1, 2, 0).clip(0, 1).astype(np.float64) * (self.high - self.low) + self.low
        pixels: Pixels = (part if self.pixels.dtype.kind == "f" else part.round()).astype(self.pixels.dtype)
        return pixels

    def with_pixels(self, pixels: Pixels) -> Photo:
        return replace(self, pixels=pixels)


def read(path: Path) -> Photo:
    """Reads a photo in full; raises UnreadableError with a plain reason for what is none, or cannot be kept as it is."""
    try:
        with path.open("rb") as file, quiet():
            return _read(file)
    except OSError as e:
        raise UnreadableError((e.strerror or str(e)).lower()) from e


def write(photo: Photo, path: Path) -> None:
    """Writes a photo in its own format: JPEG and WebP at high quality, PNG and TIFF without loss."""
    with path.open("wb") as file, quiet():
        if photo.kind == "TIFF":
            _write_tiff(photo, file)
        elif photo.bits == 16 and photo.channels == 3:
            _write_png(photo, file)
        else:
            _SAVE[photo.kind](_image(photo), photo, file)


def shown(photo: Photo, side: int) -> Image.Image:
    """An upright miniature in 8 bits, at most so many pixels a side, transparent parts white; its profile is in its `info`."""
    step = max(1, max(photo.shape) // (2 * side))
    part = photo.pixels[::step, ::step].astype(np.float32)
    bytes_ = ((part - photo.low) / (photo.high - photo.low) * 255).clip(0, 255).round().astype(np.uint8)
    image = Image.fromarray(bytes_[..., 0] if photo.channels == 1 else bytes_).convert("RGB")
    if photo.alpha is not None:
        scale = 255 / np.iinfo(photo.alpha.dtype).max
        mask = Image.fromarray((photo.alpha[::step, ::step] * scale).round().astype(np.uint8))
        image = Image.composite(image, Image.new("RGB", image.size, "white"), mask)
    image.thumbnail((side, side), Image.Resampling.BOX)
    return image


def _read(file: IO[bytes]) -> Photo:
    with opened(file) as image:
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format != "MPO":  # what a camera adds to a photo as MPO is a preview
            what = "pages" if image.format == "TIFF" else "frames: it is animated"
            raise UnreadableError(f"has {frames} {what}, and only stills are restored")
        kind = "JPEG" if image.format == "MPO" else image.format if image.format in ENDINGS else "PNG"
        deep = _is_deep_colour(image)
        info = _info(image)
        image.load()
        if deep:
            return _deep(image, file, kind or "PNG", info)
        if image.mode in ("I;16", "I;16B", "I;16L", "I;16N", "I", "F"):
            return _grey(np.asarray(image), kind or "PNG", info)
        if image.mode == "P":
            palette = "RGBA" if image.has_transparency_data else "RGB"
            grey = image.palette is not None and _is_grey(image)
            image = image.convert(palette).convert({"RGBA": "LA", "RGB": "L"}[palette] if grey else palette)
        if image.mode in ("L", "RGB") and image.has_transparency_data:
            image = image.convert({"L": "LA", "RGB": "RGBA"}[image.mode])
        if image.mode not in _PLAIN:
            raise UnreadableError(f"its colours are {image.mode}, and only grey and RGB are restored: convert it first")
        pixels = np.asarray(image.convert(_PLAIN[image.mode]))
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    alpha = pixels[..., -1].copy() if pixels.shape[2] in (2, 4) else None
    return Photo(pixels[..., : pixels.shape[2] - (alpha is not None)].copy(), alpha, kind=kind or "PNG", info=info)


def _is_deep_colour(image: Image.Image) -> bool:
    """Whether its file holds 16 bits per colour, of which Pillow gives 8."""
    raw = [_raw_mode(tile) for tile in _tiles(image)]
    return any(";16" in mode for mode in raw) and not image.mode.startswith("I")


def _tiles(image: Image.Image) -> list[Any]:
    """How Pillow will decode the file."""
    return list(getattr(image, "tile", ()))


def _raw_mode(tile: Any) -> str:
    args = tile[3]
    return str(args[0] if isinstance(args, tuple) and args else args)


def _deep(image: Image.Image, file: IO[bytes], kind: str, info: Mapping[str, Any]) -> Photo:
    """Both bytes of every value: those that Pillow gives, and, its decoder told the other byte order, those that it drops."""
    high = np.asarray(image)
    file.seek(0)
    with opened(file) as other:
        tiles = []
        for tile in _tiles(other):
            mode = _raw_mode(tile)
            if mode.startswith("LA"):
                raise UnreadableError(
                    "is grey of 16 bits with transparency, which cannot be read without loss: save it as RGBA"
                )
            swapped = mode[:-1] + {"L": "B", "B": "L", "N": "B" if struct.pack("=H", 1)[0] else "L"}[mode[-1]]
            args = (swapped, *tile[3][1:]) if isinstance(tile[3], tuple) else swapped
            tiles.append((*tile[:3], args))
        other.tile = [  # type: ignore[attr-defined]
            type(old)(*new) for old, new in zip(_tiles(other), tiles, strict=True)
        ]
        low = np.asarray(other)
    pixels = high.astype(np.uint16) << 8 | low
    alpha = pixels[..., 3].copy() if pixels.shape[2] == 4 else None
    return Photo(pixels[..., :3].copy(), alpha, high=65535.0, kind=kind, info=info)


def _grey(pixels: Pixels, kind: str, info: Mapping[str, Any]) -> Photo:
    """Grey of more than 8 bits: unsigned 16, or floats, from [0, 1] or else from their own range."""
    if pixels.dtype.kind == "f":
        if not np.isfinite(pixels).all():
            raise UnreadableError("contains NaN or infinite values")
        low, high = float(pixels.min()), float(pixels.max())
        low, high = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)
        return Photo(pixels.astype(np.float32)[..., None], None, low, high, "TIFF", info)
    if pixels.min() < 0 or pixels.max() > 65535:
        raise UnreadableError("holds whole numbers of 32 bits, of which nobody knows what is white: convert it first")
    return Photo(pixels.astype(np.uint16)[..., None], None, 0.0, 65535.0, kind if kind in ("PNG", "TIFF") else "PNG", info)


def _is_grey(image: Image.Image) -> bool:
    colours = np.frombuffer(bytes(image.getpalette("RGB") or ()), np.uint8).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def _info(image: Image.Image) -> dict[str, Any]:
    info: dict[str, Any] = {name: image.info[name] for name in ("icc_profile", "dpi", "exif", "xmp") if image.info.get(name)}
    if image.format == "TIFF":
        info.pop("exif", None)
        info["tags"] = getattr(image, "tag_v2", None)
        info["directories"] = {tag: dict(image.getexif().get_ifd(tag)) for tag in _DIRECTORIES}
    elif "exif" not in info and (exif := image.getexif()):
        info["exif"] = exif.tobytes()
    if image.format in ("JPEG", "MPO"):
        info["subsampling"] = JpegImagePlugin.get_sampling(image)
    text = getattr(image, "text", None)
    if isinstance(text, dict) and text:
        info["text"] = {str(k): str(v) for k, v in text.items()}
    return info


def _image(photo: Photo) -> Image.Image:
    if photo.alpha is not None:
        both = np.concatenate([photo.pixels, photo.alpha[..., None]], axis=2)
        return Image.fromarray(both, {2: "LA", 4: "RGBA"}[both.shape[2]])
    return Image.fromarray(photo.pixels[..., 0] if photo.channels == 1 else photo.pixels)


def _save_png(image: Image.Image, photo: Photo, file: IO[bytes]) -> None:
    text = PngImagePlugin.PngInfo()
    for name, value in photo.info.get("text", {}).items():
        text.add_itxt(name, value)
    image.save(file, "PNG", pnginfo=text, **_kept(photo, "icc_profile", "dpi", "exif"))


def _save_jpeg(image: Image.Image, photo: Photo, file: IO[bytes]) -> None:
    sampling = photo.info.get("subsampling", 0)
    more = {"subsampling": sampling} if sampling in (0, 1, 2) and image.mode == "RGB" else {}
    image.save(file, "JPEG", quality=95, **more, **_kept(photo, "icc_profile", "dpi", "exif", "xmp"))


def _save_webp(image: Image.Image, photo: Photo, file: IO[bytes]) -> None:
    image.save(file, "WEBP", quality=95, method=4, exact=True, **_kept(photo, "icc_profile", "exif", "xmp"))


_SAVE: dict[str, Callable[[Image.Image, Photo, IO[bytes]], None]] = {
    "PNG": _save_png,
    "JPEG": _save_jpeg,
    "WEBP": _save_webp,
}


def _kept(photo: Photo, *names: str) -> dict[str, Any]:
    return {name: photo.info[name] for name in names if name in photo.info}


def _tags(photo: Photo) -> TiffImagePlugin.ImageFileDirectory_v2:
    """What the file says about itself, without how its pixels lie."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in (photo.info.get("tags") or {}).items():
        if tag not in _STRUCTURE and tag not in _DIRECTORIES:
            tags.tagtype[tag] = photo.info["tags"].tagtype[tag]
            tags[tag] = value
    for tag, values in photo.info.get("directories", {}).items():
        if values:
            tags.tagtype[tag] = 4
            tags[tag] = values
    return tags


def _rows(photo: Photo, order: Literal["<", ">"]) -> Iterator[bytes]:
    for y, row in enumerate(photo.pixels):
        whole = row if photo.alpha is None else np.concatenate([row, photo.alpha[y][:, None]], axis=1)
        yield whole.astype(whole.dtype.newbyteorder(order)).tobytes()


def _write_png(photo: Photo, file: IO[bytes]) -> None:
    """PNG with 16 bits per colour, which Pillow does not write; each row as its difference from the one above."""
    height, width = photo.shape

    def chunk(name: bytes, data: bytes) -> None:
        file.write(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))

    file.write(b"\x89PNG\r\n\x1a\n")
    chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2 if photo.alpha is None else 6, 0, 0, 0))
    if profile := photo.info.get("icc_profile"):
        chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile))
    if dpi := photo.info.get("dpi"):
        chunk(b"pHYs", struct.pack(">IIB", *(round(float(n) / 0.0254) for n in dpi), 1))
    if exif := photo.info.get("exif"):
        chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    for name, value in photo.info.get("text", {}).items():
        chunk(b"iTXt", name.encode("latin-1", "replace")[:79] + b"\0\0\0\0\0" + value.encode())
    packer, above = zlib.compressobj(6), np.zeros(0, np.uint8)
    for row in _rows(photo, ">"):
        here = np.frombuffer(row, np.uint8)
        packed = packer.compress(b"\x02" + (here - (above if above.size else np.uint8(0))).tobytes())
        above = here
        if packed:
            chunk(b"IDAT", packed)
    chunk(b"IDAT", packer.flush())
    chunk(b"IEND", b"")


def _write_tiff(photo: Photo, file: IO[bytes]) -> None:
    """TIFF of any depth, with the tags that it came with: one packed strip. Pillow has no 16 bits per colour, and drops the EXIF."""
    packer = zlib.compressobj(6)
    strip = b"".join(packer.compress(row) for row in _rows(photo, "<")) + packer.flush()
    (height, width), tags = photo.shape, _tags(photo)
    depth = photo.channels + (photo.alpha is not None)
    if profile := photo.info.get("icc_profile"):
        tags.tagtype[34675] = 7
        tags[34675] = profile
    if dpi := photo.info.get("dpi"):
        tags[282], tags[283], tags[296] = *(TiffImagePlugin.IFDRational(float(n)) for n in dpi), 2
    tags[256], tags[257], tags[258], tags[259] = width, height, (photo.bits,) * depth, 8
    tags[262], tags[277], tags[278], tags[279], tags[284] = 1 if photo.channels == 1 else 2, depth, height, len(strip), 1
    tags[339] = (3 if photo.pixels.dtype.kind == "f" else 1,) * depth
    if photo.alpha is not None:
        tags[338] = 2
    tags[273] = 0  # from the directory's end, as Pillow counts it
    file.write(b"II*\0\x08\0\0\0" + tags.tobytes(8) + strip)
