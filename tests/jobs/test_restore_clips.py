"""Clips, pairs and scans in and out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ipse
from ipse.data import clips
from ipse.errors import UserError

VIDEO = {"blocks": 1, "width": 4, "judges": 2, "flow_width": 2, "crop": 8, "feature_width": 2, "scale": 2}
PAIRS = {"widths": [4, 4, 4, 4], "hidden": 2, "size": 32, "margin": 4, "feature_width": 2, "frames": 3}
SCANS = {"unrolls": 1, "blocks": 1, "hidden": 4, "calibration": 8}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPSE_CACHE", str(tmp_path / "cache"))


def frames(n: int, size: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def test_a_folder_of_frames_becomes_a_folder_of_larger_frames(tmp_path: Path) -> None:
    (tmp_path / "in" / "walk").mkdir(parents=True)
    clips.write(frames(4), tmp_path / "in" / "walk")
    words = {"method": "tecogan-pingpong", "steps": 1, "set": VIDEO, "quiet": True, "out": tmp_path / "out"}
    (made,) = ipse.restore(tmp_path / "in", **words)
    assert made == tmp_path / "out" / "walk"
    assert clips.read(made).shape == (4, 64, 64, 3)
    assert (tmp_path / "out" / "report.html").is_file()
    with pytest.raises(UserError, match="is there already"):
        ipse.restore(tmp_path / "in", **words)
    assert ipse.restore(tmp_path / "in", overwrite=True, **words) == [made]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["report.html", "restored.json", "walk"]


def test_pairs_become_frames(tmp_path: Path) -> None:
    for name, frame in zip(("5_t2b", "5_b2t"), frames(2), strict=True):
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.fromarray(frame).save(tmp_path / "in" / f"{name}.png")
    (made,) = ipse.restore(tmp_path / "in", method="selfdrsc", steps=1, set=PAIRS, quiet=True, out=tmp_path / "out")
    assert made == tmp_path / "out" / "5"
    assert clips.read(made).shape == (3, 32, 32, 3)


@pytest.mark.parametrize("coils", [1, 3])
def test_scans_become_magnitudes(tmp_path: Path, coils: int) -> None:
    chance = np.random.default_rng(0)
    scan = (chance.normal(size=(coils, 16, 20)) + 1j * chance.normal(size=(coils, 16, 20))).astype(np.complex64)
    for name, y in {"in": scan * (np.arange(20) % 3 > 0), "full": scan}.items():
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "a.npy", y[0] if coils == 1 else y)
    words = {"method": "noise2recon", "steps": 1, "set": SCANS, "quiet": True}
    for like in (None, tmp_path / "full"):
        (made,) = ipse.restore(tmp_path / "in", like=like, out=tmp_path / f"out{like is None}", **words)
        image = np.load(made)
        assert image.shape == (16, 20)
        assert image.dtype == np.float32
        assert np.isfinite(image).all()


def test_a_folder_without_clips(tmp_path: Path) -> None:
    Image.fromarray(frames(1)[0]).save(tmp_path / "alone.png")
    with pytest.raises(UserError, match="no clips in"):
        ipse.restore(tmp_path, method="selfdrsc", quiet=True, out=tmp_path / "out")
