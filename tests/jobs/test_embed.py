"""Embeddings on disk: what is written is what the encoder says, sample by sample."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import ipse
from ipse.errors import UserError
from ipse.jobs.run import Run


def columns(path: Path) -> dict[str, Any]:
    """The content of either kind of file."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    return {name: np.array(table[name].to_pylist()) for name in table.column_names}


@pytest.mark.parametrize("ending", [".npz", ".parquet"])
def test_every_sample_with_its_name_label_and_split(run: Run, tmp_path: Path, ending: str) -> None:
    path = ipse.embed("run", "photos", out=f"z{ending}")
    file = columns(path)
    assert sorted(file) == ["label", "name", "split", "z"]
    assert file["z"].shape == (80, run.encoder.dim)
    assert set(file["split"]) == {"train"}
    assert sorted(file["name"]) == sorted(p.relative_to("photos").as_posix() for p in Path("photos").rglob("*.png"))
    assert all(name.startswith(label + "/") for name, label in zip(file["name"], file["label"], strict=True))
    pictures = np.stack([np.asarray(Image.open(f"photos/{name}")) for name in file["name"]])
    with torch.no_grad():
        z = run.encoder(torch.tensor(pictures).permute(0, 3, 1, 2) / 127.5 - 1)
    np.testing.assert_allclose(file["z"], z.numpy(), atol=1e-5)
    assert not [name for name in os.listdir() if name.startswith(".z")]


def test_both_splits_and_samples_without_a_label(run: Run, pictures: np.ndarray, tmp_path: Path) -> None:
    for split in ("train", "test"):
        for i, word in enumerate(("china", "flower")):
            folder = tmp_path / "split" / split / word
            folder.mkdir(parents=True)
            Image.fromarray(pictures[i].transpose(1, 2, 0)).save(folder / f"{i}.png")
    (tmp_path / "some.csv").write_text("path,label\ntrain/china/0.png,vase\ntrain/flower/1.png,\ntest/flower/1.png,rose\n")
    file = columns(ipse.embed("run", "split", out="z.npz", labels="some.csv"))
    assert list(zip(file["split"], file["name"], file["label"], strict=True)) == [
        ("train", "train/china/0.png", "vase"),
        ("train", "train/flower/1.png", ""),
        ("test", "test/china/0.png", ""),
        ("test", "test/flower/1.png", "rose"),
    ]
    np.testing.assert_array_equal(file["z"][:2], file["z"][2:])


def test_arrays_from_python(run: Run, pictures: np.ndarray) -> None:
    file = columns(ipse.embed("run", pictures[:5], out="z.parquet"))
    assert list(file["name"]) == ["0", "1", "2", "3", "4"]
    assert set(file["label"]) == {""}
    np.testing.assert_array_equal(file["z"], run.embed(pictures[:5]))


def test_names_that_are_no_unicode(run: Run, pictures: np.ndarray) -> None:
    os.mkdir("odd")
    with open(os.path.join(b"odd", b"\xff.png"), "wb") as file:
        Image.fromarray(pictures[0].transpose(1, 2, 0)).save(file, "png")
    for ending in (".npz", ".parquet"):
        assert list(columns(ipse.embed("run", "odd", out=f"z{ending}"))["name"]) == ["\ufffd.png"]


def test_skipped_samples_are_said(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos/china/broken.png").write_bytes(b"no picture")
    assert len(columns(ipse.embed("run", "photos", out="z.npz"))["z"]) == 80
    note = capsys.readouterr().err.splitlines()
    assert len(note) == 1
    assert note[0].startswith("ipse: note: 1 skipped of photos, the first: china/broken.png")


@pytest.mark.parametrize(
    ("data", "out", "expected"),
    [
        ("photos", "z.csv", r"\.npz or \.parquet"),
        ("photos", "z", r"\.npz or \.parquet"),
        ("digits", "z.npz", r"the data has 1 channel\(s\), the encoder was made for 3"),
        ("phtoos", "z.npz", "phtoos"),
        ("photos", "photos/china/000.png/z.npz", "cannot write"),
    ],
)
def test_mistakes_write_nothing(run: Run, data: str, out: str, expected: str) -> None:
    before = sorted(Path().rglob("*"))
    with pytest.raises(UserError, match=expected):
        ipse.embed("run", data, out=out)
    assert sorted(Path().rglob("*")) == before
