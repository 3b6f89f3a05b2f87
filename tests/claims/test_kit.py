from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ipse
from ipse.claims import exercises, few_labels, pictures, pretrained, probe, watch
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


def test_people_who_exercise_are_learned_from_or_tested_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with monkeypatch.context() as elsewhere, pytest.raises(UserError, match="needs the smartwatch recordings"):
        elsewhere.setenv("IPSE_DATA", str(tmp_path / "none"))
        watch()
    lengths, exercise = np.tile([40, 61], 10), np.tile([0, 1], 10)  # ten people did one recording of each of two exercises
    person = np.repeat(np.arange(1, 11), 2)
    x = np.repeat(person, lengths)[:, None] + np.zeros((1, 6)) + 0.1 * np.sin(np.arange(lengths.sum()))[:, None]
    (tmp_path / "watch").mkdir()
    np.savez(tmp_path / "watch" / "data.npz", x=x, lengths=lengths, y=exercise, subject=person, classes=np.array(["a", "b"]))
    monkeypatch.setenv("IPSE_DATA", str(tmp_path))
    assert [one.shape for one in watch()[0][:2]] == [(6, 20), (6, 30)]
    data = exercises(0, length=10)
    assert data.test is not None
    assert (len(data.train), len(data.test), data.form["length"], data.form["channels"]) == (6 * 5, 4 * 5, 10, 6)
    assert data.train.group is not None
    assert np.bincount(data.train.group).tolist() == [2, 3] * 6
    assert data.train.form == data.test.form
    means = [np.round(part.read(np.arange(len(part)))["x"].mean(dim=(1, 2)).numpy(), 1) for part in (data.train, data.test)]
    assert not {*means[0].tolist()} & {*means[1].tolist()}, "a person is in both parts"
    people = exercises(0, length=10, channels=3, by="person")
    assert people.form["channels"] == 3
    assert people.train.group is not None
    assert np.unique(people.train.group, return_counts=True)[1].tolist() == [5] * 6
    few = few_labels(data, 2, seed=1)
    assert np.bincount(few.train.y + 1).tolist() == [26, 2, 2]


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
    monkeypatch.setattr(
        "ipse.jobs.closing.close", lambda run, data, quiet, teacher: run
    )  # judges and reports: changes no encoder
    data = pictures("digits", 60, 30, seed=0)
    public = ipse.pretrain(data, out=tmp_path / "run", seed=3, quiet=True, tensorboard=False, **WORDS)
    run = pretrained(data, 3, **WORDS)
    assert (run.path / "encoder.safetensors").read_bytes() == (public.path / "encoder.safetensors").read_bytes()
    assert {k: v for k, v in run.config.items() if k != "command"} == {k: v for k, v in public.config.items() if k != "command"}


def test_words_are_checked_as_the_command_line_checks_them() -> None:
    data = pictures("digits", 60, 30, seed=0)
    with pytest.raises(TypeError, match="no 'method_name'"):
        pretrained(data, 0, method_name="simclr")
    with pytest.raises(UserError, match="did you mean 'simclr'"):
        pretrained(data, 0, method="simclt")
