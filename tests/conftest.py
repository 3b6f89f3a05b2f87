"""What every test may use."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests run on every core; more threads would wait for each other

import numpy as np
import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of the tests' own."""
    before = os.environ.get("IPSE_CACHE")
    os.environ["IPSE_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["IPSE_CACHE"]
    else:
        os.environ["IPSE_CACHE"] = before


@pytest.fixture(scope="session")
def pictures() -> np.ndarray:
    """200 real colour pictures of 16 px, (N, C, H, W) uint8: patches of the two photos that ship with scikit-learn."""
    from sklearn.datasets import load_sample_images

    photos = load_sample_images().images
    rng = np.random.default_rng(0)
    patches = []
    for i in range(200):
        photo = photos[i % 2]
        y, x = rng.integers(0, photo.shape[0] - 64), rng.integers(0, photo.shape[1] - 64)
        patches.append(photo[y : y + 64 : 4, x : x + 64 : 4])
    return np.ascontiguousarray(np.stack(patches).transpose(0, 3, 1, 2))


@pytest.fixture(scope="session")
def labels() -> np.ndarray:
    """Which photo each of `pictures` is from."""
    return np.arange(200) % 2


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory, pictures: np.ndarray) -> Path:
    """The pictures as a folder with two class folders."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("data") / "photos"
    for i, picture in enumerate(pictures[:80]):
        path = folder / ("china" if i % 2 == 0 else "flower") / f"{i:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.transpose(1, 2, 0)).save(path)
    return folder


Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def ipse(tmp_path: Path) -> Command:
    """Runs `ipse` with these arguments in a process of its own, inside the test's folder."""

    def run(*arguments: object, timeout: float = 240, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ipse", *map(str, arguments)]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=timeout, env={**os.environ, **environment}
        )

    return run


@pytest.fixture(autouse=True)
def _threads() -> None:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
