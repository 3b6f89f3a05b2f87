"""The benchmarks run and render, at the smallest size; their figures mean nothing here."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _from_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))


def test_views() -> None:
    for peer in ("lightly", "kornia", "torchvision"):
        pytest.importorskip(peer)
    from benchmarks import views

    text = views.render(views.measure(sizes=(32,), rounds=1, batch=8, peers=4, seconds=0.0))
    assert all(name in text for name in ("| ipse |", "| kornia |", "ipse is so many times lightly"))


def test_views_of_recordings() -> None:
    pytest.importorskip("audiomentations")
    if find_spec("torch_audiomentations") is None:
        pytest.skip("torch_audiomentations is not installed")
    from benchmarks import views_audio

    text = views_audio.render(views_audio.measure(batch=8, samples=1600, rounds=1, seconds=0.0))
    assert all(f"| {name}" in text for name in ("ipse |", "audiomentations, 2 workers", "torch-audiomentations, whole batch"))


def test_views_of_series_and_rows() -> None:
    pytest.importorskip("tsaug")
    from benchmarks import views_series, views_table

    text = views_series.render(views_series.measure(batch=8, length=32, rounds=1, seconds=0.0, peers=2))
    assert all(f"| {name} |" in text for name in ("ipse", "tsaug, series by series", "tsaug, whole batch"))
    assert "| numpy, row by row |" in views_table.render(views_table.measure(batch=8, columns=4, rounds=1, seconds=0.0))


def test_a_peer_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import views_series

    monkeypatch.setattr(views_series, "missing", lambda *packages: list(packages))
    text = views_series.render(views_series.measure(batch=2, length=8, rounds=1, seconds=0.0))
    assert text.endswith("Not measured: tsaug is not installed (`pip install 'ipse[bench]'`).")


@pytest.mark.parametrize("kind", ["image", "audio", "series", "table"])
def test_throughput(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import throughput

    encoder, batch, _ = throughput.KINDS[kind]
    monkeypatch.setitem(throughput.KINDS, kind, (encoder, batch, 1))
    figures = throughput.measure((kind,), most=4, steps=1, rounds=1)
    assert figures[kind]["share"]["median"] > 0
    assert "**share**" in throughput.render(figures)


def test_peer() -> None:
    pytest.importorskip("lightly")
    import numpy as np
    from benchmarks import peer

    from ipse.data import Images

    images = Images(np.random.default_rng(0).integers(0, 256, (32, 3, 32, 32), dtype=np.uint8), np.arange(32) % 2)
    figures = {
        "ipse": peer.by_ipse(images, images, batch=8, seconds=0.01, points=1),
        "lightly": peer.by_lightly(images, images, batch=8, seconds=0.01, points=1, workers=0),
    }
    assert peer.render(figures).count("%") == 2


def test_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np
    from benchmarks import encoders

    from ipse.data import Images

    images = Images(np.random.default_rng(0).integers(0, 256, (300, 3, 32, 32), dtype=np.uint8), np.arange(300) % 2)
    monkeypatch.setattr(encoders, "open_data", lambda name: SimpleNamespace(train=images, test=images.subset(np.arange(20))))
    monkeypatch.setattr(encoders, "CANDIDATES", {"tiny": ("small_conv", {"widths": (4, 8), "grid": 4})})
    text = encoders.render(encoders.measure((0.0001, 0.0002), turn=0.01))
    assert "| kNN after 0.0001 min | kNN after 0.0002 min |" in text
    assert text.count("%") == 2


def test_restorers(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("skimage", "bm3d"):
        pytest.importorskip(package)
    from benchmarks import restorers

    from ipse.methods.restore import choice

    monkeypatch.setattr(restorers, "SIDE", 32)
    monkeypatch.setattr(restorers, "METHODS", dict.fromkeys(restorers.CORRUPTIONS, ()))
    monkeypatch.setattr(restorers, "CLASSICS", ("nlm",))
    monkeypatch.setattr(choice, "choose", lambda noise: choice.Choice("tv", {}, "why"))
    figures = restorers.measure()
    assert figures["white"]["auto"]["PSNR"] > figures["white"]["as it is"]["PSNR"]
    assert figures["dark"]["gamma to mid grey"]["PSNR"] > figures["dark"]["as it is"]["PSNR"]
    text = restorers.render(figures)
    assert text.count("auto: tv") == 4
    assert text.count(" dB |") == 3 * 3 + 4
    assert "not installed" in restorers.render({"absent": ["bm3d"]})


def test_memory(tmp_path: Path) -> None:
    import numpy as np

    pytest.importorskip("psutil")
    from benchmarks import memory

    memory.write(tmp_path / "x.npy", 20)
    assert np.load(tmp_path / "x.npy", mmap_mode="r").shape == (round(20e6 / 3072), 3, 32, 32)
    text = memory.render({"20": {"anonymous": 1e6, "resident": 2e6}})
    assert text.endswith("| 20 | 1 | 2 |")


def test_the_page_has_every_part_and_says_what_was_not_measured() -> None:
    for peer in ("lightly", "kornia", "torchvision"):
        pytest.importorskip(peer)
    sys.modules.pop("benchmarks.__main__", None)
    from benchmarks import __main__

    text = __main__.page({"machine": {"threads": 2, "instructions": ["avx2"], "torch": "2.6"}})
    assert text.count("Not measured yet.") == 9
    assert "2 processor cores (avx2)" in text
