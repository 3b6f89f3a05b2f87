"""Masks: read from whatever people have, matched to pictures by name, and none lost without a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ipse.data import Data, open_data
from ipse.data.masks import numbered, write_masks
from ipse.errors import UserError

SIDE = 24


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six pictures in two folders, two of them twice as wide as high."""
    rng = np.random.default_rng(0)
    for i in range(6):
        path = tmp_path / "photos" / ("left" if i < 3 else "right") / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        width = 2 * SIDE if i in (2, 5) else SIDE
        Image.fromarray(rng.integers(0, 256, (SIDE, width, 3), dtype=np.uint8)).save(path)
    return tmp_path / "photos"


def halves(low: int = 0, high: int = 1, width: int = SIDE) -> NDArray[np.uint8]:
    """The left half is of one value, the right half of the other."""
    return np.where(np.arange(width) < width // 2, low, high).astype(np.uint8)[None].repeat(SIDE, 0)


def put(photos: Path, name: str, pixels: NDArray[Any] | Image.Image, **words: Any) -> Path:
    folder = photos.parent / "masks"
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(path, **words)
    return folder


def opened(photos: Path) -> Data:
    return open_data(photos, labels=photos.parent / "masks")


def mask_of(data: Data, name: str) -> NDArray[Any]:
    row = [str(n) for n in data.train.names].index(name)
    found: NDArray[Any] = data.train.read([row])["mask"][0].numpy()
    return found


def test_masks_are_matched_by_name_and_some_will_do(photos: Path) -> None:
    put(photos, "left/0.png", halves(0, 7))
    put(photos, "right/5.png", halves(7, 3, 2 * SIDE))
    data = opened(photos)
    assert data.classes == ("0", "3", "7")
    assert data.train.y.tolist() == [0, -1, -1, -1, -1, 0]
    assert data.train.labelled
    left = mask_of(data, "left/0.jpg")
    assert left.shape == (SIDE, SIDE)
    assert (left[:, : SIDE // 2] == 0).all()
    assert (left[:, SIDE // 2 :] == 2).all()
    wide = mask_of(data, "right/5.jpg")
    assert (wide[:, : SIDE // 2] == 2).all()
    assert (wide[:, SIDE // 2 :] == 1).all()
    assert (mask_of(data, "left/1.jpg") == -1).all()
    assert not data.skipped


def test_they_stay_with_their_samples(photos: Path) -> None:
    put(photos, "left/1.png", halves(0, 1))
    put(photos, "right/4.png", halves(1, 0))
    train = opened(photos).train
    part = train.subset([4, 0, 1]).subset([2, 0])
    assert part.y.tolist() == [0, 0]
    assert part.read([0])["mask"][0, 0, 0] == 0
    assert part.read([1])["mask"][0, 0, 0] == 1


def palette() -> Image.Image:
    image = Image.fromarray(halves(0, 2), mode="P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    return image


def colours() -> NDArray[np.uint8]:
    return np.stack([halves(255, 0), halves(0, 0), halves(0, 16)], 2)


@pytest.mark.parametrize(
    ("pixels", "name", "classes"),
    [
        (halves(0, 255), "0.png", ("0", "255")),
        (halves(0, 1).astype(bool), "0.png", ("0", "1")),
        (halves(0, 1).astype(np.uint16) * 300, "0.png", ("0", "300")),
        (palette(), "0.gif", None),
        (palette(), "0.png", ("0", "2")),
        (colours(), "0.png", ("#000010", "#ff0000")),
        (colours(), "0.bmp", ("#000010", "#ff0000")),
        (np.stack([halves(0, 4)] * 3, 2), "0.tif", ("0", "4")),
    ],
)
def test_values_of_every_kind_are_classes(photos: Path, pixels: Any, name: str, classes: tuple[str, ...] | None) -> None:
    put(photos, f"left/{name}", pixels)
    data = opened(photos)
    assert len(data.classes) == 2
    assert classes is None or data.classes == classes
    assert (
        mask_of(data, "left/0.jpg")[0, [0, -1]]
        == ([1, 0] if name in ("0.bmp",) or classes == ("#000010", "#ff0000") else [0, 1])
    ).all()


def test_255_beside_others_and_what_is_transparent_has_no_class(photos: Path) -> None:
    pixels = halves(0, 1)
    pixels[:6] = 255
    put(photos, "left/0.png", pixels)
    clear = np.stack([halves(0, 1)] * 3 + [np.where(np.arange(SIDE) < 6, 0, 255)[:, None].repeat(SIDE, 1).astype(np.uint8)], 2)
    put(photos, "left/1.png", clear)
    data = opened(photos)
    assert data.classes == ("0", "1")
    for name in ("left/0.jpg", "left/1.jpg"):
        mask = mask_of(data, name)
        assert (mask[:6] == -1).all()
        assert (mask[6:] >= 0).all()


def test_a_file_names_the_values(photos: Path) -> None:
    folder = put(photos, "left/0.png", halves(0, 2))
    (folder / "classes.txt").write_text("sky\ngrass\nhouse\n\n")
    data = opened(photos)
    assert data.classes == ("sky", "grass", "house")
    assert mask_of(data, "left/0.jpg")[0, -1] == 2
    (folder / "classes.txt").write_text("sky\ngrass\n")
    with pytest.raises(UserError, match=r"names the values 0 to 1, one in a line, and the masks hold 2"):
        opened(photos)
    (folder / "classes.txt").write_text("sky\ngrass\nsky\n")
    with pytest.raises(UserError, match="the same name"):
        opened(photos)


def test_the_same_masks_give_the_same_key_and_others_another(photos: Path) -> None:
    put(photos, "left/0.png", halves(0, 1))
    first = opened(photos)
    assert opened(photos).key == first.key
    put(photos, "left/0.png", halves(1, 0))
    assert opened(photos).key != first.key


def test_masks_that_are_none_are_named_and_the_others_used(photos: Path) -> None:
    put(photos, "left/0.png", halves(0, 1))
    put(photos, "left/1.png", halves(0, 1, 2 * SIDE))
    put(photos, "left/2.png", np.random.default_rng(0).integers(0, 256, (SIDE, 2 * SIDE, 3), dtype=np.uint8))
    folder = put(photos, "right/3.png", halves(0, 1))
    (folder / "right" / "3.png").write_bytes(b"nothing of the kind")
    data = opened(photos)
    assert data.train.y.tolist() == [0, -1, -1, -1, -1, -1]
    reasons = {item.name: item.reason for item in data.skipped}
    assert reasons["left/1.jpg: its mask 1.png"] == "48 x 24 is of another shape than the picture"
    assert "names no classes: is it a photo" in reasons["left/2.jpg: its mask 2.png"]
    assert reasons["right/3.jpg: its mask 3.png"] == "not a picture of a known format"


def test_mistakes_are_said_before_anything_is_learned(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    with pytest.raises(UserError, match="holds no masks"):
        opened(photos)
    put(photos, "left/0.png", halves(1, 1))
    with pytest.raises(UserError, match=r"all pixels .* are '1'"):
        opened(photos)
    put(photos, "left/9.png", halves(0, 1))
    with pytest.raises(
        UserError, match=r"1 mask\(s\) of unknown pictures, such as 'left/9' \(the data's names look like 'left/0.jpg'\)"
    ):
        opened(photos)
    (folder / "left" / "9.png").unlink()
    put(photos, "left/0.tif", halves(0, 1))
    with pytest.raises(UserError, match="two masks for one picture"):
        opened(photos)
    for path in (folder / "left").iterdir():
        path.unlink()
    put(photos, "left/0.png", halves(0, 1, 2 * SIDE))
    with pytest.raises(UserError, match=r"no mask in .* can be used, the first: left/0.jpg.*another shape"):
        opened(photos)
    with pytest.raises(UserError, match="those are for pictures"):
        open_data(np.random.default_rng(0).normal(size=(20, 4)), modality="table", labels=folder)


def test_what_is_written_is_read_again(photos: Path) -> None:
    rng = np.random.default_rng(1)
    given = {
        f"{'left' if i < 3 else 'right'}/{i}.jpg": rng.integers(0, 3, (SIDE, SIDE * (1 + (i in (2, 5))))) for i in range(6)
    }
    write_masks(photos.parent / "masks", given.items(), ["a", "b", "c"])
    data = opened(photos)
    assert data.classes == ("a", "b", "c")
    assert (data.train.y == 0).all()
    assert (mask_of(data, "left/0.jpg") == given["left/0.jpg"]).all()


def test_classes_of_another_order_are_renumbered_and_strange_ones_are_none(photos: Path) -> None:
    put(photos, "left/0.png", halves(0, 5))
    data = opened(photos)
    other = numbered(data.train, data.classes, ("5", "9"))
    assert other.read([0])["mask"][0, 0, [0, -1]].tolist() == [-1, 0]
    assert numbered(data.train, data.classes, data.classes) is data.train


def test_a_test_part_has_its_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for i in range(3):
            path = tmp_path / "photos" / part / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(path)
    data = open_data(tmp_path / "photos")
    names = [str(data.train.names[0]), str(data.test.names[1])]  # type: ignore[union-attr]
    for name in names:
        put(tmp_path / "photos", name, halves(0, 1))
    data = opened(tmp_path / "photos")
    assert data.test is not None
    assert data.train.y.tolist() == [0, -1, -1]
    assert data.test.y.tolist() == [-1, 0, -1]
