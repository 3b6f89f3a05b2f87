"""What holds for every method that restores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ipse import papers
from ipse.errors import UserError
from ipse.methods.restore import Restorer
from ipse.methods.restore.kept import build, trained

METHODS = sorted(p.key for p in papers.everything().values() if p.role == "restore method")
SMALL: dict[str, dict[str, Any]] = {
    "enlightengan": {"width": 4, "depth": 2, "judges": 4, "size": 16, "crop": 8, "crops": 2, "batch": 2, "feature_width": 2},
    "noise2recon": {"unrolls": 2, "blocks": 1, "hidden": 4, "batch": 2},
    "selfdrsc": {"widths": (4, 4, 4, 4), "hidden": 2, "size": 32, "margin": 4, "feature_width": 2, "frames": 3},
    "tecogan-pingpong": {"blocks": 1, "width": 4, "judges": 2, "flow_width": 2, "crop": 8, "feature_width": 2},
    "noiser": {"size": 16},
    "cbsn-downsampled-invariance": {"width": 4, "modules": 1, "patch": 20, "batch": 2},
    "generalized-r2r": {"width": 4, "depth": 2, "patch": 16, "batch": 2},
    "merlin": {"width": 4, "depth": 2, "patch": 16, "batch": 2},
}
each = pytest.mark.parametrize("key", METHODS)


def small(key: str, channels: int = 1) -> Restorer:
    return build(key, channels, SMALL.get(key, {}))


def signal(method: Restorer, size: int = 32, seed: int = 0) -> Tensor:
    chance = torch.Generator().manual_seed(seed)
    shapes = {
        "image": (1, method.channels, size, size),
        "complex": (1, 2, size, size),
        "kspace": (1, 2 * method.channels, size, size),
        "frames": (1, 2, method.channels, size, size),
    }
    x = torch.rand(shapes[method.takes], generator=chance)
    if method.takes in ("image", "frames"):
        return x
    x = x - 0.5
    if method.takes == "kspace":
        x[..., ::2] = 0
        x[..., size // 2 - 4 : size // 2 + 4] = 0.3
    return x


def ready(key: str, steps: int = 2) -> tuple[Restorer, Tensor]:
    method = small(key)
    x = signal(method)
    if method.fits != "nothing":
        like = [signal(method, seed=s) for s in (5, 6)] if method.wants else []
        method.fit(
            [] if method.fits == "noise" else [x, signal(method, seed=1)][: 1 if method.fits == "each" else 2],
            like=like,
            seed=0,
            steps=steps,
        )
    return method, x


@each
def test_says_what_it_is_for(key: str) -> None:
    cls = papers.load(key, "restore method")
    assert cls.noise.strip()
    assert cls.fits in ("nothing", "noise", "each", "all")
    assert cls.fits == "nothing" or cls.steps > 0


@each
def test_finite_and_deterministic_in_fp32_and_bf16(key: str) -> None:
    method, x = ready(key)
    again, _ = ready(key)
    assert not method.training
    with torch.no_grad():
        first, second = method.restore(x), again.restore(x)
    if key == "bm3d":  # its threads add in any order
        torch.testing.assert_close(first, second, atol=1e-4, rtol=0)
    else:
        assert torch.equal(first, second)
    assert first.isfinite().all()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert method.restore(x).isfinite().all()


@each
def test_does_not_move_the_callers_generator(key: str) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    ready(key)
    assert torch.equal(torch.get_rng_state(), before)


@each
def test_state_to_disk_and_back(key: str, tmp_path: Path) -> None:
    method, x = ready(key)
    save_file({k: v.contiguous() for k, v in method.state_dict().items()}, tmp_path / "state.safetensors")
    other = small(key)
    other.load_state_dict(load_file(tmp_path / "state.safetensors"))
    with torch.no_grad():
        torch.testing.assert_close(other.eval().restore(x), method.restore(x))


@each
def test_wrong_shapes_are_said(key: str) -> None:
    method = small(key)
    for bad in (torch.zeros(3), torch.zeros(1, 7, 8, 8), torch.zeros(1, method.channels, 0, 8)):
        with pytest.raises(UserError, match="takes"):
            method.restore(bad)


@each
def test_nothing_to_learn_from_is_said(key: str) -> None:
    method = small(key)
    if method.fits in ("each", "all"):
        with pytest.raises(UserError, match="learns from"):
            method.fit([], steps=1)


def test_trained_once_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IPSE_CACHE", str(tmp_path))
    settings = {"size": 16}
    first, kept = trained("noiser", 3, settings, steps=2)
    assert not kept
    (file,) = (tmp_path / "restorers").iterdir()
    assert file.suffix == ".safetensors"
    second, kept = trained("noiser", 3, settings, steps=2)
    assert kept
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    for words in ({"seed": 1}, {"steps": 3}):
        assert not trained("noiser", 3, settings, **{"steps": 2, **words})[1]  # type: ignore[arg-type]
    assert not trained("noiser", 1, settings, steps=2)[1]
    assert not trained("noiser", 3, {"size": 17}, steps=2)[1]
    assert trained("noiser", 3, {"size": 16, "color": 0.5}, steps=2)[1]  # the colour is put back afterwards
    file.write_bytes(b"damaged")
    third, kept = trained("noiser", 3, settings, steps=2)
    assert not kept
    assert torch.equal(third.state_dict()["first.weight"], first.state_dict()["first.weight"])
    assert not [f for f in (tmp_path / "restorers").iterdir() if f.name.startswith(".")]


@pytest.mark.parametrize("key", ["nlm", "tv", "bm3d"])
def test_baselines_take_noise_away(key: str) -> None:
    pytest.importorskip("bm3d" if key == "bm3d" else "skimage")
    place = torch.linspace(0, 1, 64)
    clean = (0.3 + 0.4 * (place[:, None] > 0.5) * (place > 0.3)).expand(1, 1, 64, 64)
    noisy = clean + 0.1 * torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    method = build(key, 1, {})
    error = (method.restore(noisy) - clean).square().mean()
    assert error < 0.3 * (noisy - clean).square().mean()
