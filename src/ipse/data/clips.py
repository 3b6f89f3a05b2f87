"""Clips as people keep them: a folder of numbered frames, an animated picture, or two pictures of a rolling shutter."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from ipse.data import photos
from ipse.data.decode import UnreadableError
from ipse.data.folders import listing
from ipse.data.photos import Photo

_TOP, _BOTTOM = "t2b", "b2t"  # read from the top to the bottom, and the reverse: how data sets name them


def found(folder: Path) -> list[tuple[str, Path]]:
    """The clips in a folder and those below it, by name: folders of frames, pairs NAME_t2b and NAME_b2t, .npy files, animated GIFs.

    The path of a pair is that of its first picture.
    """
    clips = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.npy") if not path.name.startswith(".")}
    by_folder: dict[Path, list[Path]] = {}
    for name in listing(folder).kinds.get("image", []):
        path = folder / name
        if path.suffix.lower() == ".gif":
            clips[path.relative_to(folder).as_posix()] = path
        else:
            by_folder.setdefault(path.parent, []).append(path)
    for parent, pictures in by_folder.items():
        pairs = [path for path in pictures if path.stem.endswith(_TOP) and _other(path).is_file()]
        for path in pairs:
            clips[path.with_name(path.stem.removesuffix(_TOP).rstrip("_-") or "pair").relative_to(folder).as_posix()] = path
        rest = set(pictures) - {*pairs, *map(_other, pairs)}
        if len(rest) > 1:
            clips[folder.name if parent == folder else parent.relative_to(folder).as_posix()] = parent
    return sorted(clips.items())


def read(path: Path) -> NDArray[Any]:
    """The frames (T, H, W, 3) or (T, H, W) of a folder, a pair's first picture or an animated picture; raises UnreadableError with a plain reason."""
    if path.is_dir():
        named = [path / name for name in listing(path).kinds.get("image", []) if "/" not in name]
        return _stacked(sorted((p for p in named if not _paired(p)), key=_natural))
    if _paired(path):
        top = path if path.stem.endswith(_TOP) else _other(path)
        return _stacked([top, _other(top)])
    try:
        with Image.open(path) as image:
            frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]
    except Exception as error:
        raise UnreadableError(f"no clip that can be read: {error}") from error
    if len(frames) < 2:
        raise UnreadableError("a single picture, and the method takes clips: a folder of frames, or NAME_t2b and NAME_b2t")
    return np.stack(frames)


def write(frames: NDArray[Any], folder: Path) -> None:
    """Frames (T, H, W) or (T, H, W, C) as 0000.png and so on; floats in [0, 1] with 8 bits."""
    if frames.dtype.kind == "f":
        frames = (frames.clip(0, 1) * 255).round().astype(np.uint8)
    digits = max(4, len(str(len(frames) - 1)))
    for i, frame in enumerate(frames if frames.ndim == 4 else frames[..., None]):
        photo = Photo(frame, None, high=float(np.iinfo(frame.dtype).max), kind="PNG", info={})
        photos.write(photo, folder / f"{i:0{digits}d}.png")


def _stacked(paths: list[Path]) -> NDArray[Any]:
    if not paths:
        raise UnreadableError("a folder without frames")
    frames = []
    for path in paths:
        try:
            frames.append(photos.read(path).pixels)
        except UnreadableError as error:
            raise UnreadableError(f"{path.name}: {error}") from error
        if (frames[-1].shape, frames[-1].dtype) != (frames[0].shape, frames[0].dtype):
            raise UnreadableError(
                f"{path.name} is {_size(frames[-1])}, and {paths[0].name} {_size(frames[0])}: frames are of one kind"
            )
    clip = np.stack(frames)
    return clip[..., 0] if clip.shape[3] == 1 else clip


def _size(pixels: NDArray[Any]) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[0]} x {pixels.shape[2]} {pixels.dtype}"


def _other(path: Path) -> Path:
    ends = (_TOP, _BOTTOM) if path.stem.endswith(_TOP) else (_BOTTOM, _TOP)
    return path.with_name(path.stem.removesuffix(ends[0]) + ends[1] + path.suffix)


def _paired(path: Path) -> bool:
    return path.stem.endswith((_TOP, _BOTTOM)) and _other(path).is_file()


def _natural(path: Path) -> list[tuple[int, str]]:
    """Frame 10 after frame 9, whatever zeros stand before them."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", path.name)]
