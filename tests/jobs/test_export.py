"""What other programs make of an exported encoder is what it makes of the same pictures here."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors import safe_open

import ipse
from ipse import models
from ipse.errors import UserError
from ipse.jobs.run import Run

Keep = Callable[..., Path]


def pictures(encoder: models.Encoder, n: int = 5) -> torch.Tensor:
    return (
        torch.rand(
            n, encoder.form["channels"], encoder.form["size"], encoder.form["size"], generator=torch.Generator().manual_seed(1)
        )
        * 2
        - 1
    )


@pytest.mark.parametrize(("name", "channels", "size"), [("small_conv", 1, 20), ("tiny_vit", 3, 16), ("test_resnet", 4, 32)])
def test_safetensors_open_as_the_same_encoder(untrained: Keep, tmp_path: Path, name: str, channels: int, size: int) -> None:
    folder = untrained(name, channels, size)
    path = ipse.export(folder, format="safetensors", out=tmp_path / "new" / "encoder.safetensors")
    before, after = ipse.load(folder), ipse.load(path)
    assert not after.training
    x = pictures(before)
    with torch.no_grad():
        assert torch.equal(before(x), after(x))
    assert os.listdir(path.parent) == ["encoder.safetensors"]


@pytest.mark.parametrize(
    ("name", "channels", "size"), [("vit_tiny_patch16_224", 3, 32), ("resnet18", 3, 48), ("resnet18", 1, 32)]
)
def test_timm_opens_it_by_name(untrained: Keep, tmp_path: Path, name: str, channels: int, size: int) -> None:
    folder = untrained(name, channels, size)
    path = ipse.export(folder, format="timm", out=tmp_path / "weights.safetensors")
    with safe_open(path, framework="pt") as file:
        options = json.loads(file.metadata()["timm"])
    assert options == {"model_name": name, "num_classes": 0, "in_chans": channels} | (
        {"img_size": size} if "vit" in name else {}
    )
    model = timm.create_model(**options, checkpoint_path=str(path)).eval()
    about = timm.data.resolve_model_data_config(model)
    mean, std = (torch.tensor(about[k]) for k in ("mean", "std"))
    if channels == 1:
        mean, std = mean.mean(), std.mean()
    encoder = ipse.load(folder)
    x = pictures(encoder)
    seen = ((x + 1) / 2 - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)  # from [-1, 1] to timm's own normalisation
    with torch.no_grad():
        torch.testing.assert_close(model(seen), encoder(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("name", "channels", "size"), [("small_conv", 1, 20), ("small_vit", 3, 16), ("resnet18", 3, 32)])
def test_onnx_gives_what_torch_gives(
    untrained: Keep, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, channels: int, size: int
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    folder = untrained(name, channels, size)
    capfd.readouterr()
    path = ipse.export(folder, format="onnx", out=tmp_path / "encoder.onnx")
    assert capfd.readouterr() == ("", "")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,), (made,) = session.get_inputs(), session.get_outputs()
    encoder = ipse.load(folder)
    assert (given.name, given.shape[1:]) == ("image", [channels, size, size])
    assert (made.name, made.shape[1:]) == ("embedding", [encoder.dim])
    assert isinstance(given.shape[0], str)
    for n in (1, 5):
        x = pictures(encoder, n)
        with torch.no_grad():
            np.testing.assert_allclose(session.run(None, {"image": x.numpy()})[0], encoder(x).numpy(), atol=1e-4)
    assert {p.name for p in tmp_path.iterdir()} == {folder.name, "encoder.onnx"}


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_missing_package_is_named(run: Run, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=r"pip install 'ipse\[onnx\]'"):
        ipse.export("run", format="onnx", out="encoder.onnx")
    assert sorted(os.listdir()) == ["photos", "run"]


@pytest.mark.parametrize(
    ("format", "out", "expected"),
    [
        ("pickle", "x", "there are safetensors, timm, onnx"),
        ("timm", "x.safetensors", "'small_conv' is not timm's"),
        ("timm", "x.pth", r"ends in \.safetensors"),
        ("onnx", "x", r"ends in \.onnx"),
        ("safetensors", "photos/china/000.png/x.safetensors", "cannot write"),
    ],
)
def test_mistakes_write_nothing(run: Run, format: str, out: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        ipse.export("run", format=format, out=out)
    assert sorted(os.listdir()) == ["photos", "run"]


def test_what_ipse_did_not_write_is_refused(run: Run) -> None:
    Path("none").write_bytes(b"")
    with pytest.raises(UserError, match="no such|No such"):
        ipse.load("missing.safetensors")
    for path in ("none", "photos/china/000.png", "run/encoder.safetensors"):  # the last has its description beside it
        with pytest.raises(UserError, match="no encoder that ipse wrote"):
            ipse.load(path)


def test_a_description_that_does_not_fit_is_refused(run: Run) -> None:
    from safetensors.torch import load_file, save_file

    path = ipse.export("run", format="safetensors", out="x.safetensors")
    for description in (
        "{}",
        "[]",
        "{",
        '{"name": "small_conv", "channels": 3, "size": 64, "widths": [8, 8]}',
        '{"name": "resnet81"}',
    ):
        save_file(load_file(path), "other.safetensors", metadata={"ipse": description})
        with pytest.raises(UserError, match="no encoder that ipse wrote"):
            ipse.load("other.safetensors")
