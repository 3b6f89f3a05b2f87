"""Data as it is found: what is wrong with it is named, and the rest is learned from."""

from __future__ import annotations

import json
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

import ipse
from ipse.errors import UserError

Learn = Callable[..., "tuple[ipse.Run, dict[str, str]]"]


@pytest.fixture
def learn(tmp_path: Path) -> Learn:
    """Two steps on the data: the run, and what it says was skipped, by name."""

    def run(data: Any, **words: Any) -> tuple[ipse.Run, dict[str, str]]:
        run = ipse.pretrain(data, steps=2, out=tmp_path / "run", quiet=True, tensorboard=False, **words)
        losses = [line["loss"] for line in run.history() if "loss" in line]
        assert len(losses) == 2
        assert np.isfinite(losses).all()
        assert run.report.exists()
        path = run.path / "skipped.jsonl"
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
        return run, {line["name"]: line["reason"] for line in lines}

    return run


def tones(folder: Path, n: int = 6) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        sound = np.sin(np.arange(4000) * (i + 2) / 40) / 2
        soundfile.write(folder / f"tone{i}.wav", sound, 16_000)


def test_a_mixed_folder(learn: Learn, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    tones(folder)
    for i in range(4):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    (folder / "numbers.csv").write_text("a,b\n" + "".join(f"{i * 1.5},{i * i}\n" for i in range(8)))
    (folder / "readme.txt").write_text("nothing to learn from")
    run, skipped = learn(folder)
    assert (run.config["modality"], run.config["samples"]) == ("audio", 6)
    assert skipped == {
        "4 pictures": "beside 6 recordings: not used; --modality image takes them",
        "1 tables": "beside 6 recordings: not used; --modality table takes them",
    }
    assert ipse.data.open_data(folder, modality="image").form["modality"] == "image"
    assert ipse.data.open_data(folder, modality="table").form["modality"] == "table"


def test_recordings_that_are_none(learn: Learn, tmp_path: Path) -> None:
    folder = tmp_path / "sounds"
    tones(folder)
    soundfile.write(folder / "zeros.wav", np.zeros(4000), 16_000)
    whole = (folder / "tone0.wav").read_bytes()
    (folder / "cut.wav").write_bytes(whole[:4044])
    (folder / "header.wav").write_bytes(whole[:44])
    (folder / "empty.wav").write_bytes(b"")
    (folder / "fake.wav").write_text("this is no sound")
    (folder / "fake.mp3").write_bytes(bytes(range(256)) * 8)
    soundfile.write(folder / "click.wav", np.ones(100) / 2, 16_000)
    soundfile.write(folder / "nan.wav", np.array([0.1, np.nan, np.inf] * 2000, np.float32), 16_000, subtype="FLOAT")
    with wave.open(str(folder / "old.wav"), "wb") as file:  # stereo, 8 bit, 44.1 kHz
        file.setnchannels(2)
        file.setsampwidth(1)
        file.setframerate(44_100)
        file.writeframes(np.random.default_rng(0).integers(0, 256, 2 * 22_050, dtype=np.uint8).tobytes())
    run, skipped = learn(folder, batch_size=4)
    assert run.config["samples"] == 6 + 2  # with what is left of cut.wav, and old.wav
    assert skipped.keys() == {"zeros.wav", "cut.wav", "header.wav", "empty.wav", "fake.wav", "fake.mp3", "click.wav", "nan.wav"}
    assert "silent" in skipped["zeros.wav"]
    assert "truncated" in skipped["cut.wav"]
    assert "empty" in skipped["empty.wav"]
    assert "20 ms" in skipped["click.wav"]
    assert "NaN" in skipped["nan.wav"]
    assert np.isfinite(run.embed(folder)).all()


def test_a_ragged_csv_with_text_where_numbers_should_be(learn: Learn, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = [f"{rng.normal():.3f},{rng.normal():.3f},{'xyz'[i % 3]}" for i in range(60)]
    lines[7], lines[9], lines[20], lines[30], lines[40] = "1,2", "1,2,x,4,5", "oops,1.5,x", "1e400,-inf,y", ",,"
    (tmp_path / "rows.csv").write_text("a,b,c\n" + "\n".join(lines) + "\n")
    run, skipped = learn(tmp_path / "rows.csv")
    assert run.config["samples"] == 57
    assert [name for name in skipped if "row" in name] == ["rows.csv, row 9", "rows.csv, row 11"]
    assert skipped["rows.csv, row 11"] == "5 fields, expected 3"
    assert skipped["column a"] == "2 cells are no number, taken as missing"
    assert skipped["38"] == "a row without any value"


def test_a_ragged_recording_of_sensors(learn: Learn, tmp_path: Path) -> None:
    lines = [f"{i * 0.5},{np.sin(i / 3):.3f},{np.cos(i / 5):.3f},7,{'-' if i % 2 else ''}" for i in range(200)]
    lines[50], lines[60], lines[70], lines[80] = "25.0,oops,1.5,7,", "30.0,nan,inf,7,", "35.0,1", "40.0,1,2,3,4,5,6"
    (tmp_path / "sensors.csv").write_text("time,a,b,constant,empty\n" + "\n".join(lines) + "\n")
    run, skipped = learn(tmp_path / "sensors.csv", batch_size=4)
    assert run.config["modality"] == "series"
    assert {"sensors.csv, row 72", "sensors.csv, row 82"} <= skipped.keys()
    assert any("empty" in name for name in skipped)
    assert any("no number" in reason or "missing" in reason for reason in skipped.values())
    assert np.isfinite(run.embed(tmp_path / "sensors.csv")).all()


def test_series_of_one_step(learn: Learn, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [(i, step, rng.normal(), rng.normal()) for i in range(8) for step in range(1 if i == 3 else 12)]
    frame = pd.DataFrame(rows, columns=["id", "time", "a", "b"])
    frame.loc[frame.id == 5, ["a", "b"]] = np.nan
    frame.loc[frame.id == 6, "a"] = np.inf
    frame.to_csv(tmp_path / "trials.csv", index=False)
    run, skipped = learn(tmp_path / "trials.csv", batch_size=4)
    assert run.config["samples"] == 6
    assert skipped["3"] == "a series of one step"
    assert skipped["5"] == "a series without numbers"
    assert len(run.embed(frame)) == 6


def test_arrays_of_series_with_gaps(learn: Learn) -> None:
    x = np.random.default_rng(0).normal(size=(10, 3, 24))
    x[:, 2] = 4.0  # a channel of one value
    x[1, 0], x[2], x[3, 1, 5], x[4, :, 12:] = np.nan, np.nan, np.inf, np.nan
    run, skipped = learn(x, batch_size=4)
    assert run.config["samples"] == 9
    assert skipped == {"2": "a series without numbers", "channel 1": "1 cell is infinite, taken as missing"}
    assert np.isfinite(run.embed(x)).all()


def test_one_sample(learn: Learn) -> None:
    one = pd.DataFrame({"time": np.arange(40.0) / 2, "a": np.random.default_rng(0).normal(size=40)})
    with pytest.raises(UserError, match="a batch of 1 sample.* has nothing to compare: more samples are needed"):
        learn(one, size=40)
    run, _ = learn(one)
    assert run.embed(one[:2]).shape == (1, run.encoder.dim)


def test_columns_that_say_nothing(learn: Learn) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "a": rng.normal(size=40),
            "constant": 3.5,
            "same": "yes",
            "empty": np.nan,
            "number": np.arange(40),
            "huge": rng.normal(size=40) * 1e300,
            "lists": [[1, 2]] * 40,
            "mixed": [1.5, "red", None, True] * 10,
        }
    )
    frame.loc[4, "a"], frame.loc[5, "a"] = np.inf, np.nan
    run, skipped = learn(frame)
    assert {column["name"] for column in run.encoder.form["columns"]} == {"a", "mixed"}
    assert skipped == {
        "columns constant, same": "one value only: left out",
        "column empty": "empty: left out",
        "column number": "numbers of rows: left out",
        "column huge": "numbers too large to be standardised: left out",
        "column lists": "neither numbers nor texts: left out",
        "column a": "1 cell is infinite, taken as missing",
    }
    assert np.isfinite(run.embed(frame)).all()


@pytest.mark.slow
def test_many_columns(learn: Learn, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(12, 10_000)).astype(np.float32).round(2))
    frame[3] = 1.0
    frame.columns = [f"gene{chr(97 + i % 7)}{i * 13 % 10_007}" for i in range(10_000)]
    frame.to_csv(tmp_path / "genes.csv", index=False)
    run, skipped = learn(tmp_path / "genes.csv", batch_size=6)
    assert run.config["modality"] == "table"
    assert len(run.encoder.form["columns"]) == 9_999
    assert list(skipped.values()) == ["one value only: left out"]


@pytest.mark.parametrize("make", ["sounds", "table", "series", "array", "folder"])
def test_only_when_nothing_is_left_it_refuses(make: str, tmp_path: Path) -> None:
    data: Any = tmp_path / "data"
    data.mkdir()
    if make == "sounds":
        soundfile.write(data / "zeros.wav", np.zeros(4000), 16_000)
        (data / "empty.wav").write_bytes(b"")
    elif make == "table":
        data = pd.DataFrame({"a": [1.0] * 9, "b": [None] * 9})
    elif make == "series":
        data = tmp_path / "data.csv"
        data.write_text("id,time,a\n" + "".join(f"{i},0,{i}.5\n{i},1,\n" for i in range(9)))
    elif make == "array":
        data = np.full((5, 2, 9), np.nan)
    else:
        (data / "readme.txt").write_text("nothing to learn from")
    with pytest.raises(UserError) as error:
        ipse.pretrain(data, steps=1, out=tmp_path / "run")
    assert len(str(error.value).splitlines()) == 1
    assert not (tmp_path / "run").exists()
