from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty folders for the cache and for data by name."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("IPSE_CACHE", str(folder))
    monkeypatch.setenv("IPSE_DATA", str(tmp_path_factory.mktemp("named")))
    return folder


@pytest.fixture
def picture() -> Callable[..., Image.Image]:
    """Makes a random picture."""

    def make(seed: int = 0, width: int = 12, height: int = 12, mode: str = "RGB") -> Image.Image:
        noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        return Image.fromarray(noise).convert(mode)

    return make


@pytest.fixture
def encoded() -> Callable[..., bytes]:
    """Makes the bytes of a picture file."""

    def make(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
        file = io.BytesIO()
        image.save(file, kind, **options)
        return file.getvalue()

    return make


@pytest.fixture
def photos(tmp_path: Path, picture: Callable[..., Image.Image]) -> Callable[..., Path]:
    """Makes a folder of random pictures with the given names."""

    def make(*names: str, under: str = "photos", **options: Any) -> Path:
        for seed, name in enumerate(names):
            path = tmp_path / under / name
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(seed, **options).save(path)
        return tmp_path / under

    return make


@pytest.fixture
def resident() -> Callable[[], int]:
    """How many bytes of memory this process holds, pages of mapped files included."""
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("memory is counted in another way here")
    return lambda: 1024 * int(status.read_text().partition("VmRSS:")[2].split()[0])
