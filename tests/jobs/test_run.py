"""A run's folder, whole and damaged, and the command that makes it again."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import ipse
from ipse import cli
from ipse.errors import UserError
from ipse.jobs.run import Run, command_line


def test_what_a_run_knows(run: Run, pictures: np.ndarray) -> None:
    assert str(run) == "run"
    assert run.config["method"] == "simclr"
    assert run.report.is_file()
    assert run.state.is_file()
    assert run.evaluation == run.history()[-1]["evaluation"]
    assert run.embed(pictures[:3]).shape == (3, run.encoder.dim)
    assert run.data().name == "photos"


def test_a_run_goes_where_its_folder_goes(run: Run, pictures: np.ndarray) -> None:
    z = run.embed(pictures[:3])
    shutil.move("run", "elsewhere")
    moved = Run.open("elsewhere")
    np.testing.assert_array_equal(moved.embed(pictures[:3]), z)
    assert moved.evaluation


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "holds no settings"),
        ("- a\n- b\n", "holds no settings"),
        ("method: [", "damaged"),
        ("method: simclr\n", "does not say command, data"),
        ("a: \x00", "damaged"),
        ("!!python/object/apply:os.system ['touch attacked']", "damaged"),
    ],
)
def test_a_damaged_config_is_one_line(run: Run, content: str, expected: str) -> None:
    (run.path / "config.yaml").write_text(content)
    with pytest.raises(UserError, match=expected) as error:
        run.config
    assert str(error.value).startswith("run/config.yaml is damaged: ")
    assert len(str(error.value).splitlines()) == 1
    assert not Path("attacked").exists()


def test_a_config_that_is_no_text(run: Run) -> None:
    (run.path / "config.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(UserError, match="damaged"):
        run.config


def test_a_run_that_has_not_ended(run: Run) -> None:
    (run.path / "encoder.safetensors").unlink()
    with pytest.raises(UserError, match=r"run holds no finished run: encoder.safetensors is missing"):
        run.encoder
    (run.path / "metrics.jsonl").unlink()
    assert run.evaluation == {}


@pytest.mark.parametrize("damage", ["cut", "noise", "empty", "another's"])
def test_a_tampered_encoder_is_named(run: Run, damage: str) -> None:
    path = run.path / "encoder.safetensors"
    content = path.read_bytes()
    if damage == "another's":
        path = run.path / "encoder.json"
        content = path.read_bytes().replace(b'"channels": 3', b'"channels": 1')
    path.write_bytes({"cut": content[:-100], "noise": b"\x00" * 64 + content[64:], "empty": b""}.get(damage, content))
    with pytest.raises(UserError, match="the encoder in run is damaged") as error:
        run.encoder
    assert len(str(error.value).splitlines()) == 1


def test_a_run_stands_for_its_folder(run: Run) -> None:
    assert os.fspath(run) == "run"
    assert ipse.evaluate(run, metrics="rankme", quiet=True) == ipse.evaluate("run", metrics="rankme", quiet=True)
    assert ipse.report(run) == run.report
    assert ipse.embed(run, "photos", out="photos.npz").is_file()
    assert ipse.export(run, format="safetensors", out="photos.safetensors").is_file()
    assert ipse.load(run).dim == run.encoder.dim


def test_labels_that_are_missing_are_not_the_datas_fault(run: Run) -> None:
    with pytest.raises(UserError, match=r"none\.csv") as error:
        run.data("none.csv")
    assert "cannot be opened" not in str(error.value)


def test_others_may_read_what_a_run_wrote(tmp_path: Path, pictures: np.ndarray) -> None:
    before = os.umask(0o022)
    try:
        run = ipse.pretrain(pictures, steps=1, batch_size=8, set={"hidden": 16}, out=tmp_path / "run", quiet=True)
    finally:
        os.umask(before)
    assert {oct(file.stat().st_mode & 0o777) for file in run.path.rglob("*") if file.is_file()} == {"0o644"}


def test_a_run_leaves_the_process_as_it_was(tmp_path: Path, pictures: np.ndarray, capfd: pytest.CaptureFixture[str]) -> None:
    numbers = torch.random.get_rng_state()
    words = {"steps": 1, "batch_size": 8, "set": {"hidden": 16}, "precision": "bf16", "quiet": True}
    ipse.pretrain(pictures, out=tmp_path / "run", **words)
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.random.get_rng_state(), numbers)
    output = capfd.readouterr()
    assert output.out == output.err == ""


def test_data_that_is_gone_or_was_never_kept(run: Run, pictures: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos/china/000.png").unlink()
    assert len(run.data().train) == 79
    assert capsys.readouterr().err == "ipse: note: photos has changed since run learned from it\n"
    shutil.rmtree("photos")
    with pytest.raises(UserError, match=r"the data that run learned from cannot be opened \(.*photos.*\): give data after run"):
        run.data()
    config = run.config | {"data": None}
    (run.path / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match="run learned from an array in memory, .*: give data after run"):
        run.data()


WORDS = [
    {"data": "my photos/", "method": "dcl"},
    {"data": "digits", "steps": 3, "lr": 1e-05, "seed": 7, "batch_size": 16, "size": 8},
    {"data": "digits", "tensorboard": False, "compile": True, "quiet": True, "out": "a folder"},
    {"data": "digits", "plus": ["t-regs=0.1", "ldreg"], "watch": ["rankme", "knn"]},
    {"data": "digits", "set": {"temperature": 0.1, "widths": [64, 64]}, "views": {"flip": 0, "crop": [0.5, 1]}, "minutes": 0.5},
]


@pytest.mark.parametrize("words", WORDS)
def test_the_command_is_read_as_the_words_it_stands_for(words: dict[str, Any]) -> None:
    from ipse.jobs import names
    from ipse.jobs.pretrain import pretrain

    program, command, *arguments = shlex.split(
        command_line("pretrain", [words["data"]], {name: value for name, value in words.items() if name != "data"})
    )
    assert (program, command) == ("ipse", "pretrain")
    read = cli._parse(cli._parser("pretrain", pretrain), arguments)
    for name in ("set", "views"):
        read[name] = names.assignments(read[name], f"--{name}")
    assert {name: read[name] for name in words} == words
    usual = cli._parse(cli._parser("pretrain", pretrain), [])
    assert {name: value for name, value in read.items() if name not in words and value} == {
        name: value for name, value in usual.items() if name not in words and value
    }
