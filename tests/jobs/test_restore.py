"""From photo to photo: what is kept, what is chosen, what is said, and what never happens to the user's files."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ipse
from ipse.data.photos import Photo, read, write
from ipse.errors import UserError

QUICK: dict[str, Any] = {"method": "noiser", "set": {"size": 16}, "steps": 3, "quiet": True}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scene(height: int = 60, width: int = 80) -> np.ndarray:
    """A dark real photo, (height, width, 3) uint8."""
    from sklearn.datasets import load_sample_image

    x = load_sample_image("china.jpg")[:: 427 // height, :: 640 // width][:height, :width] / 255
    return (x**2.2 * 0.25 * 255).round().astype(np.uint8)


def save(path: str, **words: Any) -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(scene()).save(path, **words)
    return Path(path)


def test_end_to_end(ipse: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    Image.fromarray(scene()).save(tmp_path / "dark.png")
    light = np.clip(scene() / 0.25 / 255, 0, 1) ** (1 / 2.2) * 255
    Image.fromarray(light.astype(np.uint8)).save(tmp_path / "true.png")
    words = (
        "restore",
        "dark.png",
        "--steps",
        "30",
        "--reference",
        "true.png",
        "--method",
        "noiser",
        "--set",
        "size=32",
        "lr=0.01",
    )
    first = ipse(*words)
    assert first.returncode == 0, first.stderr
    assert "learned in" in first.stderr
    assert "report.html" in first.stdout
    facts = json.loads((tmp_path / "restored" / "restored.json").read_text())
    (one,) = facts["restored"]
    label = next(name for name in one["measures"] if name.startswith("noiser"))
    assert one["measures"][label]["PSNR"] > one["measures"]["before"]["PSNR"] + 2
    assert facts["command"].startswith("ipse restore dark.png --method noiser")
    page = (tmp_path / "restored" / "report.html").read_text()
    assert "<script" in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    again = ipse(*words, "--out", "again")
    assert "kept from before" in again.stderr
    assert (tmp_path / "again" / "dark.png").read_bytes() == (tmp_path / "restored" / "dark.png").read_bytes()
    third = ipse(*words)
    assert third.returncode == 2
    assert (
        third.stderr.splitlines()[-1] == "ipse: error: restored/dark.png is there already: take another --out, or --overwrite"
    )


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp"])
def test_format_size_and_exif_stay(here: Path, name: str) -> None:
    exif = Image.Exif()
    exif[0x0110] = "Camera"
    path = save(name, exif=exif, icc_profile=b"profile" * 20) if name != "a.tif" else save(name, tiffinfo={0x0110: "Camera"})
    (out,) = ipse.restore(path, **QUICK)
    assert out == Path("restored") / name
    with Image.open(path) as before, Image.open(out) as after:
        assert (after.format, after.size, after.mode) == (before.format, before.size, before.mode)
        assert after.getexif()[0x0110] == "Camera"
        assert after.info.get("icc_profile") == before.info.get("icc_profile")


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_and_transparency_stay(here: Path, kind: str) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 9000, (40, 50, 3)).astype(np.uint16)
    alpha = rng.integers(0, 65536, (40, 50)).astype(np.uint16)
    path = here / f"deep.{kind.lower()}"
    write(Photo(pixels, alpha, high=65535.0, kind=kind), path)
    after = read(ipse.restore(path, **QUICK)[0])
    assert after.bits == 16
    assert after.alpha is not None
    np.testing.assert_array_equal(after.alpha, alpha)
    assert len(np.unique(after.pixels)) > 3000  # not 8 bits in disguise


def test_tiles_leave_no_seams(here: Path) -> None:
    x = (scene(107, 160) / 255).astype(np.float32)
    whole, tiled = (ipse.restore(x, tile=side, **QUICK) for side in (4096, 32))
    np.testing.assert_allclose(tiled, whole, atol=1e-5)
    assert whole.shape == x.shape
    assert whole.dtype == x.dtype


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 1), (20, 30, 3), (20, 30, 4), (1, 1, 3), (1, 40)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_arrays(here: Path, shape: tuple[int, ...], dtype: type) -> None:
    x = np.random.default_rng(0).random(shape) * 0.2
    x = (x * (1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max)).astype(dtype)
    y = ipse.restore(x, **QUICK)
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    assert np.isfinite(y).all()
    if shape[-1] == 4:
        np.testing.assert_array_equal(y[..., 3], x[..., 3])
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 3, 5)), np.zeros((3, 3), np.int64), np.full((3, 3), 2.0), np.full((3, 3), np.nan), np.zeros((0, 3))]
)
def test_arrays_that_are_no_pictures(here: Path, bad: np.ndarray) -> None:
    with pytest.raises(UserError, match="picture"):
        ipse.restore(bad, **QUICK)


def test_strength(here: Path) -> None:
    x = scene()
    np.testing.assert_array_equal(ipse.restore(x, strength=0, **QUICK), x)
    full, half = (ipse.restore(x, strength=s, **QUICK).astype(float) for s in (1, 0.5))
    np.testing.assert_allclose(half, (x + full) / 2, atol=1.01)


def test_a_folder_with_bad_files(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save("in/one.jpg")
    save("in/deep/two.png")
    (save("in/cut.png")).write_bytes(Path("in/one.jpg").read_bytes()[:500])
    Image.new("CMYK", (4, 4)).save("in/cmyk.jpg")
    Image.fromarray(scene()).quantize(8).save("in/still.gif")
    frames = [Image.new("L", (4, 4), v) for v in (0, 100)]
    frames[0].save("in/moving.gif", save_all=True, append_images=frames[1:])
    Image.new("RGB", (1, 1), (9, 9, 9)).save("in/dot.png")
    Path("in/notes.txt").write_text("no picture")
    done = ipse.restore("in", out="out", **QUICK)
    assert sorted(p.relative_to("out").as_posix() for p in done) == ["deep/two.png", "dot.png", "one.jpg", "still.gif.png"]
    notes = capsys.readouterr().err.splitlines()
    assert [n for n in notes if "cut.png" in n]
    assert [n for n in notes if "cmyk.jpg was left out: its colours are CMYK" in n]
    assert [n for n in notes if "moving.gif was left out: has 2 frames" in n]
    page = Path("out/report.html").read_text()
    assert "Not restored" in page
    assert page.count('class="pair"') == 4
    assert len(json.loads(Path("out/restored.json").read_text())["skipped"]) == 3
    assert not list(Path("out").rglob(".*"))


def test_auto_says_why(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipse.methods.restore.noiser.NoiSER.steps", 2)
    save("dark.png")
    Image.new("RGB", (64, 64), (120, 130, 140)).save("flat.png")
    done = ipse.restore(["dark.png", "flat.png"])
    assert [p.name for p in done] == ["dark.png"]
    text = capsys.readouterr().err
    assert "dark.png: noiser color=0.8 tv=0.3 (dark: mean brightness 0.1" in text
    assert "flat.png was left out: no more noise than 8 bits hide" in text
    with pytest.raises(UserError, match="flat.png"):
        ipse.restore("flat.png", out="other")
    assert not Path("other").exists()


def test_compared_side_by_side(here: Path) -> None:
    pytest.importorskip("skimage")
    save("a.png")
    Image.fromarray(scene()).save("ref.png")
    ipse.restore("a.png", compare=["nlm", "tv"], reference="ref.png", **QUICK)
    (one,) = json.loads(Path("restored/restored.json").read_text())["restored"]
    assert {"before", "nlm", "tv", "reference"} < set(one["measures"])
    assert one["measures"]["before"]["PSNR"] is None  # equal to the reference
    assert one["measures"]["nlm"]["PSNR"] > 30
    assert Path("restored/report.html").read_text().count("<figure>") == 5


@pytest.mark.parametrize("learn", [None, "more"])
def test_what_a_folder_teaches_is_learned_once_from_all_of_it(
    here: Path, monkeypatch: pytest.MonkeyPatch, learn: str | None
) -> None:
    from ipse.methods.restore import kept, signals

    save("in/a.png")
    save("in/b.png")
    for name in ("c", "d", "e"):
        save(f"more/{name}.png")
    usual, read, learned, opened = kept.trained, signals.read, [], []

    def trained(key: str, *about: Any, **words: Any) -> Any:
        learned.append((key, len(words["signals"])))
        return usual(key, *about, **words)

    monkeypatch.setattr(kept, "trained", trained)
    monkeypatch.setattr(signals, "read", lambda path, *about: opened.append(path.name) or read(path, *about))
    ipse.restore("in", compare=["generalized-r2r"], learn=learn, **QUICK)
    many = 2 if learn is None else 3
    assert learned == [("noiser", 0), ("generalized-r2r", many)]
    assert opened.count("a.png") <= 3
    assert opened.count("c.png") == (0 if learn is None else 2)


def test_auto_learns_once_from_all_photos_of_a_kind(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ipse.methods.restore import choice, kept

    usual, learned = kept.trained, []
    found = choice.choose

    def quick(noise: Any) -> choice.Choice:
        chosen = found(noise)
        return chosen._replace(settings={**chosen.settings, "width": 8, "samples": 1}, steps=3)

    def trained(key: str, *about: Any, **words: Any) -> Any:
        learned.append((key, len(words["signals"]), words["steps"]))
        return usual(key, *about, **words)

    monkeypatch.setattr(choice, "choose", quick)
    monkeypatch.setattr(kept, "trained", trained)
    chance = np.random.default_rng(0)
    Path("in").mkdir()
    for name, sigma in (("a", 20), ("b", 30)):
        light = 255 * (scene(120, 160) / 255) ** 0.4
        noisy = (light + chance.normal(0, sigma, light.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(f"in/{name}.png")
    ipse.restore("in", quiet=True)
    assert learned == [("generalized-r2r", 2, 3)]
    facts = json.loads(Path("restored/restored.json").read_text())["restored"]
    assert facts[0]["why"] != facts[1]["why"]


def test_references_by_name(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save("in/a.png")
    save("in/b.png")
    save("true/a.jpg")
    Image.new("RGB", (3, 3)).save("true/b.png")
    ipse.restore("in", reference="true", **(QUICK | {"quiet": False}))
    facts = {r["name"]: r["measures"]["before"] for r in json.loads(Path("restored/restored.json").read_text())["restored"]}
    assert facts["a.png"]["PSNR"] > 25
    assert "PSNR" not in facts["b.png"]
    said = capsys.readouterr().err
    assert "b.png is 80 x 60 in 3 channels, its reference 3 x 3 in 3 channels: not measured" in said
    assert re.search(r"a\.png: .* s; PSNR [\d.]+ to [\d.]+ dB, SSIM 0\.\d+ to 0\.\d+", said)
    assert said.count("PSNR") == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"data": ()}, "what is to be restored"),
        ({"data": "none.png"}, "there is no 'none.png'"),
        ({"data": "empty"}, "no photos in empty"),
        ({"method": "nosier"}, "did you mean 'noiser'"),
        ({"method": "simclr"}, "unknown restore method|is a method, not a restore method"),
        ({"set": {"colour": 1}}, "did you mean 'color'"),
        ({"set": {"color": 3}}, "color is from 0 to 1"),
        ({"method": "auto", "set": {"color": 1}}, "name it with --method"),
        ({"compare": ["merlin"]}, "--compare merlin: it takes complex, and noiser image"),
        ({"strength": 2}, "--strength is from 0 to 1"),
        ({"steps": 0}, "--steps must be at least 1"),
        ({"tile": 3}, "--tile must be at least 16"),
        ({"reference": "none"}, "--reference none"),
        ({"learn": "none"}, "--learn none"),
        ({"out": "a.png"}, "--out a.png is a file"),
        ({"out": "."}, "over itself"),
        ({"out": ".", "overwrite": True}, "over itself"),
        ({"data": ["a.png", "in/a.png"]}, "two files are called a.png"),
        ({"data": "broken.png"}, "nothing was restored; the first, broken.png: not a picture"),
    ],
)
def test_mistakes_write_nothing(here: Path, words: dict[str, Any], expected: str) -> None:
    save("a.png")
    save("in/a.png")
    Path("empty").mkdir()
    Path("broken.png").write_bytes(b"no picture")
    before = {p: p.read_bytes() for p in sorted(Path().rglob("*")) if p.is_file()}
    with pytest.raises(UserError, match=expected):
        ipse.restore(**{"data": "a.png", **QUICK, **words})
    assert {p: p.read_bytes() for p in sorted(Path().rglob("*")) if p.is_file()} == before


def test_overwrite(here: Path) -> None:
    save("a.png")
    ipse.restore("a.png", **QUICK)
    before = Path("restored/a.png").read_bytes()
    ipse.restore("a.png", **QUICK, strength=0.5, overwrite=True)
    assert Path("restored/a.png").read_bytes() != before


@pytest.mark.slow
def test_twelve_megapixels_in_bounded_memory(ipse: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    Image.fromarray(np.tile(scene(), (50, 50, 1))).save(tmp_path / "large.png", compress_level=1)
    program = (
        "import resource, ipse, torch; ipse.restore('large.png', method='noiser', steps=3, quiet=True);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    import os
    import sys

    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 1800  # MB, of which torch itself takes some hundred
