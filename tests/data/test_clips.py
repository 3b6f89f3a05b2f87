from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ipse.data import clips
from ipse.data.decode import UnreadableError


def save(path: Path, level: int, size: tuple[int, int] = (6, 4), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, level if mode == "L" else (level, 0, 0)).save(path)


def test_frames_of_a_folder_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for i in (10, 9, 1):
        save(tmp_path / f"frame{i}.png", i)
    clip = clips.read(tmp_path)
    assert clip.shape == (3, 4, 6, 3)
    assert clip[:, 0, 0, 0].tolist() == [1, 9, 10]


def test_a_folder_of_folders_pairs_and_arrays(tmp_path: Path) -> None:
    for i in range(3):
        save(tmp_path / "walk" / f"{i}.png", i)
    for name, level in (("0_t2b", 1), ("0_b2t", 2), ("1_t2b", 3), ("1_b2t", 4)):
        save(tmp_path / "rs" / f"{name}.png", level)
    np.save(tmp_path / "clip.npy", np.zeros((2, 4, 4)))
    Image.new("L", (4, 4)).save(tmp_path / "a.gif", save_all=True, append_images=[Image.new("L", (4, 4), 200)])
    found = dict(clips.found(tmp_path))
    assert sorted(found) == ["a.gif", "clip.npy", "rs/0", "rs/1", "walk"]
    assert clips.read(found["rs/1"])[:, 0, 0, 0].tolist() == [3, 4]
    assert clips.read(found["walk"]).shape == (3, 4, 6, 3)
    assert clips.read(found["a.gif"]).shape == (2, 4, 4, 3)


def test_the_picture_read_from_the_top_is_first_whichever_is_named(tmp_path: Path) -> None:
    save(tmp_path / "x_t2b.png", 1)
    save(tmp_path / "x_b2t.png", 2)
    for name in ("x_t2b.png", "x_b2t.png"):
        assert clips.read(tmp_path / name)[:, 0, 0, 0].tolist() == [1, 2]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_written_and_read_again(tmp_path: Path, dtype: str) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (12, 5, 6, 3)).astype(dtype) * (257 if dtype == "uint16" else 1)
    (tmp_path / "out").mkdir()
    clips.write(frames, tmp_path / "out")
    assert (tmp_path / "out" / "0011.png").is_file()
    again = clips.read(tmp_path / "out")
    assert again.dtype == frames.dtype
    assert np.array_equal(again, frames)
    (tmp_path / "grey").mkdir()
    clips.write(np.full((2, 3, 3), 0.5), tmp_path / "grey")
    assert clips.read(tmp_path / "grey").tolist() == np.full((2, 3, 3), 128).tolist()


def test_what_is_no_clip(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnreadableError, match="without frames"):
        clips.read(tmp_path / "empty")
    save(tmp_path / "two" / "0.png", 1)
    save(tmp_path / "two" / "1.png", 1, size=(5, 4))
    with pytest.raises(UnreadableError, match=r"1.png is 5 x 4 x 3 uint8, and 0.png 6 x 4"):
        clips.read(tmp_path / "two")
    with pytest.raises(UnreadableError, match="a single picture"):
        clips.read(tmp_path / "two" / "0.png")
    (tmp_path / "two" / "1.png").write_bytes(b"no picture")
    with pytest.raises(UnreadableError, match="1.png: "):
        clips.read(tmp_path / "two")
