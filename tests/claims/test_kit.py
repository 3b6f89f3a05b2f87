from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ipse
from ipse.claims import pictures, pretrained, probe
from ipse.claims.harness import kit
from ipse.errors import UserError

WORDS: dict[str, Any] = {"method": "simclr", "encoder": "small_conv", "batch_size": 16, "steps": 2}


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("IPSE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def told() -> Iterator[list[str]]:
    texts: list[str] = []
    token = kit.told.set(texts.append)
    yield texts
    kit.told.reset(token)


def test_pictures_are_drawn_by_seed_without_a_sample_in_common() -> None:
    a, b, c = (pictures("digits", 1000, 700, seed) for seed in (0, 0, 1))
    assert a.test is not None
    assert b.test is not None
    assert (len(a.train), len(a.test)) == (1000, 700)
    assert not set(a.train.names) & set(a.test.names)
    assert list(a.train.names) == list(b.train.names)
    assert (a.train.x == b.train.x).all()
    assert (a.test.y == b.test.y).all()
    assert list(a.train.names) != list(c.train.names)
    assert a.key == b.key != c.key
    with pytest.raises(UserError, match="digits has no 1000 samples to learn from and 800 more to test on"):
        pictures("digits", 1000, 800, 0)


def test_parts_of_a_data_set_stay_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    for part, first, count in (("train", 0, 30), ("test", 100, 20)):
        x = np.arange(first, first + count, dtype=np.uint8)[:, None, None, None].repeat(8, 1).repeat(8, 2).repeat(3, 3)
        np.savez(folder / f"{part}.npz", x=x, y=np.arange(count) % 2, classes=np.array(["even", "odd"]))
    monkeypatch.setenv("IPSE_DATA", str(tmp_path))
    data = pictures("small", 10, 20, seed=3)
    assert data.test is not None
    assert (data.train.x[:, 0, 0, 0] < 30).all()
    assert sorted(data.test.x[:, 0, 0, 0]) == list(range(100, 120))
    with pytest.raises(UserError, match="no 10 samples to learn from and 21 more"):
        pictures("small", 10, 21, seed=3)


def test_an_encoder_learns_is_judged_and_leaves_nothing(told: list[str]) -> None:
    data = pictures("digits", 60, 30, seed=0)
    run, same, other = (pretrained(data, seed, **WORDS) for seed in (0, 0, 1))
    assert told[0] == "simclr encoder=small_conv batch_size=16 steps=2"
    assert [line["step"] for line in run.history()] == [0, 1]
    assert run.config["seed"] == 0
    measures = probe(run, data, "knn", "rankme")
    assert set(measures) == {"knn", "rankme"}
    assert 0 <= measures["knn"] <= 1
    assert measures == probe(same.encoder, data, "knn", "rankme")
    assert measures != probe(other, data, "knn", "rankme")
    assert not run.report.exists()
    path = run.path
    assert path.is_dir()
    del run
    gc.collect()
    assert not path.exists()


def test_an_encoder_is_the_one_that_the_public_function_teaches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("ipse.jobs.closing.close", lambda run, data, quiet: run)  # judges and reports: changes no encoder
    data = pictures("digits", 60, 30, seed=0)
    public = ipse.pretrain((data.train.x, data.train.y), out=tmp_path / "run", seed=3, quiet=True, tensorboard=False, **WORDS)
    run = pretrained(data, 3, **WORDS)
    assert (run.path / "encoder.safetensors").read_bytes() == (public.path / "encoder.safetensors").read_bytes()
    assert {k: v for k, v in run.config.items() if k != "command"} == {k: v for k, v in public.config.items() if k != "command"}


def test_words_are_checked_as_the_command_line_checks_them() -> None:
    data = pictures("digits", 60, 30, seed=0)
    with pytest.raises(TypeError, match="no 'method_name'"):
        pretrained(data, 0, method_name="simclr")
    with pytest.raises(UserError, match="did you mean 'simclr'"):
        pretrained(data, 0, method="simclt")
