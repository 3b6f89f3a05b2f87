"""Masks: pictures that name the class of every pixel of other pictures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ipse.data.decode import UnreadableError, opened, quiet
from ipse.data.digest import digest
from ipse.data.images import Images
from ipse.data.samples import Ints, Samples
from ipse.data.store import Skipped
from ipse.errors import UserError

ENDINGS = (".png", ".tif", ".tiff", ".bmp", ".gif", ".webp")
NAMES = "classes.txt"
MOST = 256  # classes; what has more values is no mask
VOID = 255  # of grey and palette masks: no class, unless 0 and 255 are all there is
_COLOUR = 1 << 24  # added to red, green, blue as one number, so that colours and grey values differ

Numbers = NDArray[np.int16]
Values = NDArray[np.int64]


@dataclass(frozen=True)
class Masks:
    """The class of every pixel of some of the samples of a store, as wide and as high as its pictures.

    pixels: (M, H, W) int16, -1 where there is no class. place: (N,) int64, which of the M is a sample's; -1 for those without.
    """

    pixels: Numbers
    place: Ints

    def read(self, rows: Ints) -> Tensor:
        """Of the samples at these places of the store (B,): int16 (B, H, W), -1 where nothing is known."""
        place = self.place[rows]
        found = np.full((len(rows), *self.pixels.shape[1:]), -1, np.int16)
        found[place >= 0] = self.pixels[place[place >= 0]]
        return torch.from_numpy(found)

    def renumbered(self, table: NDArray[np.int16]) -> Masks:
        """The same with other numbers for the classes: table (K + 1,), whose last is for pixels without a class."""
        return replace(self, pixels=table[self.pixels])


def with_masks(folder: Path, parts: Sequence[Samples], skipped: list[Skipped]) -> tuple[tuple[str, ...], list[Samples], str]:
    """Parts of a data set with the masks of a folder in place of their labels, the classes, and a text that is the same for the same masks.

    A mask lies below the folder as the picture does below the data, and is called like it but for the ending. Its values, grey, of a
    palette or colours, are the classes; classes.txt in the folder may name the values 0, 1, 2, ..., one in a line. 255 and what is
    transparent have no class, but where all masks hold nothing but 0 and 255, these are the two classes. Labels of a sample are then
    0 if it has a mask and -1 if it has none.

    Masks that cannot be read, or are of another shape than their picture, are added to `skipped`. Raises UserError where nothing is left, for
    masks of unknown pictures and for data that is not of pictures.
    """
    if not all(isinstance(part, Images) for part in parts):
        raise UserError(
            f"{folder} is a folder, of masks, and those are for pictures; for other data give a CSV: --labels FILE.csv"
        )
    files = _files(folder, parts, [item.name for item in skipped])
    read: list[dict[int, Values]] = []
    with quiet():
        for part in parts:
            assert isinstance(part, Images)
            own: dict[int, Values] = {}
            for i, name in enumerate(part.names):
                path = files.get(_stem(name))
                if path is None:
                    continue
                try:
                    own[i] = _read(path, float(part.aspect[i]), (part.height, part.width))
                except UnreadableError as error:
                    skipped.append(Skipped(f"{name}: its mask {path.name}", str(error)))
            read.append(own)
    if not any(read):
        raise UserError(f"no mask in {folder} can be used, the first: {skipped[-1].name}: {skipped[-1].reason}")
    values = np.unique(np.concatenate([np.unique(mask) for mask in chain(*(own.values() for own in read))]))
    known = _classes(folder, values[values >= 0])
    numbers = {value: i for i, value in enumerate(known)}
    done = [_masked(part, own, numbers) for part, own in zip(parts, read, strict=True)]
    key = digest(*known.values(), *(_content(part.masks) for part in done if part.masks is not None))
    return tuple(known.values()), done, key


def numbered(samples: Samples, old: Sequence[str], new: Sequence[str]) -> Samples:
    """Samples with the classes of their masks numbered among `new` in place of `old`; pixels of others have none."""
    if samples.masks is None or tuple(old) == tuple(new):
        return samples
    place = {name: i for i, name in enumerate(new)}
    table = np.array([*(place.get(name, -1) for name in old), -1], np.int16)
    return samples.masked(samples.masks.renumbered(table))


def _files(folder: Path, parts: Sequence[Samples], lost: Sequence[str]) -> dict[str, Path]:
    """The masks of a folder by the names of their pictures without ending."""
    files: dict[str, Path] = {}
    for place, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        for name in sorted(names):
            path = Path(place, name)
            if name.startswith(".") or path.suffix.lower() not in ENDINGS:
                continue
            stem = _stem(path.relative_to(folder).as_posix())
            if stem in files:
                raise UserError(f"two masks for one picture: {files[stem]} and {path}")
            files[stem] = path
    if not files:
        raise UserError(f"{folder} holds no masks: pictures ({', '.join(ENDINGS)}) called like those of the data are expected")
    stems = {_stem(name) for name in chain(*(part.names for part in parts))}
    lost_stems = set(map(_stem, lost))
    if unknown := [stem for stem in files if stem not in stems and stem not in lost_stems]:
        example = next(iter(parts[0].names))
        raise UserError(
            f"{folder} holds {len(unknown)} mask(s) of unknown pictures, such as {unknown[0]!r} (the data's names look like {example!r})"
        )
    return files


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]


def _read(path: Path, aspect: float, size: tuple[int, int]) -> Values:
    """The values of a mask at (height, width), of its pixels the nearest; -1 where it is transparent."""
    try:
        with path.open("rb") as file, opened(file) as image:
            image.load()
            if abs(image.width / image.height - aspect) > 0.02 * aspect:
                raise UnreadableError(f"{image.width} x {image.height} is of another shape than the picture")
            values = _values(image)
    except OSError as error:
        raise UnreadableError((error.strerror or str(error)).lower()) from error
    rows, columns = (((np.arange(n) + 0.5) * m / n).astype(np.int64) for n, m in zip(size, values.shape, strict=True))
    near: Values = values[rows][:, columns]
    return near


def _values(image: Image.Image) -> Values:
    """A number for every pixel: the grey value, the number in the palette, or the colour."""
    if image.mode in ("P", "1", "L", "I", "I;16", "I;16B", "I;16L", "I;16N"):
        values = np.asarray(image).astype(np.int64)
    elif image.mode in ("LA", "RGB", "RGBA"):
        red, green, blue, alpha = (x.astype(np.int64) for x in np.moveaxis(np.asarray(image.convert("RGBA")), 2, 0))
        grey = image.mode == "LA" or bool((red == green).all() and (green == blue).all())
        values = np.where(alpha > 0, red if grey else _COLOUR + (red << 16) + (green << 8) + blue, -1)
    else:
        raise UnreadableError(f"its colours are {image.mode}: save it in grey, with a palette or as RGB")
    if len(np.unique(values)) > MOST:
        raise UnreadableError(
            f"it has more than {MOST} values, so it names no classes: is it a photo, or was it smoothed or saved as JPEG?"
        )
    return values


def _classes(folder: Path, values: Values) -> dict[int, str]:
    """The values that are classes, in order, and their names."""
    if set(values.tolist()) != {0, VOID}:
        values = values[values != VOID]
    if len(values) > MOST:
        raise UserError(
            f"the masks in {folder} have {len(values)} values in all, so they name no classes: were they smoothed, or saved as JPEG?"
        )
    file = folder / NAMES
    if not file.is_file():
        found = {value: f"#{value - _COLOUR:06x}" if value >= _COLOUR else str(value) for value in values.tolist()}
    else:
        try:
            lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot read {file}: {error}") from error
        lines = lines[: max((i + 1 for i, line in enumerate(lines) if line), default=0)]
        found = dict(enumerate(lines))
        if strange := [value for value in values.tolist() if not found.get(value)]:
            text = f"#{strange[0] - _COLOUR:06x}" if strange[0] >= _COLOUR else strange[0]
            raise UserError(f"{file} names the values 0 to {len(lines) - 1}, one in a line, and the masks hold {text}")
        if len(set(lines)) < len(lines):
            raise UserError(f"{file} gives two values the same name")
    if len(found) < 2:
        raise UserError(
            f"all pixels of the masks in {folder} are {next(iter(found.values()), 'without a class')!r}: there is nothing to tell apart"
        )
    return found


def _masked(part: Samples, own: Mapping[int, Values], numbers: Mapping[int, int]) -> Samples:
    assert isinstance(part, Images)
    pixels = np.full((len(own), part.height, part.width), -1, np.int16)
    place = np.full(len(part), -1, np.int64)
    for i, (row, mask) in enumerate(own.items()):
        place[row] = i
        for value in np.unique(mask).tolist():
            pixels[i][mask == value] = numbers.get(value, -1)
    return part.relabelled(np.where(place >= 0, 0, -1)).masked(Masks(pixels, place))


def _content(masks: Masks) -> str:
    import hashlib

    return hashlib.blake2b(masks.pixels.tobytes() + masks.place.tobytes(), digest_size=16).hexdigest()


def write_masks(folder: Path, masks: Iterable[tuple[str, Values]], classes: Sequence[str]) -> None:
    """Writes masks (name of the picture, classes (H, W)) as PNG with a palette, and classes.txt, as they are read again."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAMES).write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")
    palette = colours(len(classes)).ravel().tolist()
    for name, values in masks:
        path = folder / f"{_stem(name)}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(values.astype(np.uint8), mode="P")
        image.putpalette(palette)
        image.save(path)


def colours(count: int) -> NDArray[np.uint8]:
    """So many colours (count, 3) that differ: the first dark, the others around the circle by the golden angle."""
    import colorsys

    some = [
        (0.13, 0.13, 0.16),
        *(colorsys.hsv_to_rgb((0.08 + i * 0.381966) % 1, 0.75 - 0.3 * (i // 8 % 2), 0.95) for i in range(count - 1)),
    ]
    chosen: NDArray[np.uint8] = (np.array(some[:count]) * 255).round().astype(np.uint8)
    return chosen
