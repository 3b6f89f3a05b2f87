"""A small run, and encoders as runs, for the jobs that start from one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ipse import models
from ipse.data import form
from ipse.jobs.pretrain import pretrain
from ipse.jobs.run import Run


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """A folder with `photos/` and the run `run` that learned from it, under that name."""
    folder = tmp_path_factory.mktemp("learned")
    shutil.copytree(photos, folder / "photos")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        pretrain("photos", steps=4, batch_size=16, set={"hidden": 16, "width": 8}, out="run", watch=["rankme"], quiet=True)
    return folder


@pytest.fixture
def run(learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A copy of the run, with its data beside it, in the current folder."""
    shutil.copytree(learned, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Run.open("run")


@pytest.fixture
def untrained(tmp_path: Path) -> Callable[..., Path]:
    """Keeps an encoder, with running statistics that are not those of its start, as if a run had learned it."""

    def keep(name: str, channels: int, size: int) -> Path:
        folder = tmp_path / f"run-{name}"
        folder.mkdir()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            encoder = models.create(name, form.image(channels, size))
            encoder(torch.randn(8, channels, size, size))
        models.save(encoder, folder)
        (folder / "config.yaml").write_text("method: simclr\n")
        return folder

    return keep
