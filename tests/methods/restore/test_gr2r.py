from __future__ import annotations

import pytest
import torch
from tests.methods.restore.pictures import clean, psnr
from torch import Tensor

from ipse.errors import UserError
from ipse.methods.restore import Tile
from ipse.methods.restore.gr2r import GeneralizedR2R
from ipse.methods.restore.tiles import restore_tiled
from ipse.training import seeded
from ipse.transforms import noise

NOISES = {
    "gaussian": (noise.gaussian, 0.1),
    "poisson": (noise.poisson, 0.05),
    "gamma": (noise.gamma, 6.0),
    "binomial": (noise.binomial, 16),
    "log-rayleigh": (noise.log_rayleigh, 0.1),
}
each = pytest.mark.parametrize("kind", NOISES)


def small(kind: str, **settings: object) -> GeneralizedR2R:
    with seeded(0):
        return GeneralizedR2R(1, noise=kind, **{"width": 4, "depth": 1, "patch": 16, "batch": 4, "lr": 5e-3} | settings)  # type: ignore[arg-type]


def noisy(kind: str, x: Tensor) -> Tensor:
    make, level = NOISES[kind]
    return make(x, level, torch.Generator().manual_seed(0))


@each
def test_the_level_is_found(kind: str) -> None:
    y = noisy(kind, clean(256))
    assert small(kind).survey([Tile(y)]) == pytest.approx(NOISES[kind][1], rel=0.12)
    assert small(kind, level=3.0).survey([Tile(y)]) == 3.0


@pytest.mark.parametrize("trials", [2, 7, 30, 100, 300])
def test_trials_are_counted_from_values_of_eight_bits(trials: int) -> None:
    y = noise.binomial(clean(256), trials, torch.Generator().manual_seed(0))
    found = small("binomial").survey([Tile((255 * y).round() / 255)])
    assert found == pytest.approx(trials, rel=0.2 if trials > 128 else 1e-9)


@each
def test_learns_to_take_noise_away(kind: str) -> None:
    x = clean()
    y = noisy(kind, x)
    method = small(kind)
    method.fit([y], steps=80)
    assert psnr(method.restore(y), x) > psnr(y, x) + 2


@pytest.mark.parametrize("kind", ["gaussian", "poisson", "gamma", "binomial"])
def test_learns_by_likelihood(kind: str) -> None:
    x = clean()
    y = noisy(kind, x)
    method = small(kind, loss="likelihood", level=NOISES[kind][1])
    method.fit([y], steps=150)
    assert psnr(method.restore(y), x) > psnr(y, x)


@each
def test_tiles_show_no_seam(kind: str) -> None:
    """A pixel's splits are the same whatever tile it is in."""
    y = noisy(kind, clean(192))
    method = small(kind)
    method.fit([y], steps=2)
    whole, tiled = method.restore(y), torch.zeros_like(y)

    def put(rows: slice, columns: slice, part: Tensor) -> None:
        tiled[..., rows, columns] = part

    restore_tiled(method, (192, 192), lambda rows, columns: y[..., rows, columns], put, 64)
    torch.testing.assert_close(tiled, whole, atol=2e-5, rtol=1e-4)


def test_more_samples_average_the_splits_out() -> None:
    y = noisy("gaussian", clean())
    method = small("gaussian", level=0.1)
    method.fit([y], steps=5)
    outputs = {}
    for samples in (1, 5, 400):
        method.samples = samples
        outputs[samples] = method.restore(y)
    errors = [(outputs[s] - outputs[400]).square().mean().item() for s in (1, 5)]
    assert errors[0] > 3 * errors[1]


def test_each_picture_has_its_own_level() -> None:
    x = clean()
    chance = torch.Generator().manual_seed(0)
    pictures = [noise.gaussian(x, sigma, chance) for sigma in (0.02, 0.2)]
    method = small("gaussian")
    method.fit(pictures, steps=2)
    levels = [method.survey([Tile(y)]) for y in pictures]
    assert levels == pytest.approx([0.02, 0.2], rel=0.15)


def test_pictures_without_noise_stay_finite() -> None:
    for kind in NOISES:
        for value in (0.0, 0.5, 1.0):
            y = torch.full((1, 1, 32, 32), value)
            method = small(kind)
            method.fit([y], steps=2)
            assert method.restore(y).isfinite().all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kind": "salt"}, "noise is one of gaussian"),
        ({"level": -1.0}, "level must be more than 0"),
        ({"alpha": 1.0}, "alpha is between"),
        ({"kind": "binomial", "level": 1.0}, "whole number of trials, at least 2, not 1"),
        ({"kind": "binomial", "level": 2.5}, "whole number of trials"),
        ({"samples": 0}, "samples"),
        ({"kind": "log-rayleigh", "loss": "likelihood"}, "loss=mse"),
    ],
)
def test_mistakes_are_said(settings: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        small(**{"kind": "gaussian"} | settings)  # type: ignore[arg-type]
