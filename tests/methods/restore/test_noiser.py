"""The checks of the paper's card, and what is ours."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from torch import Tensor

from ipse.errors import UserError
from ipse.methods.restore import Tile
from ipse.methods.restore.kept import build
from ipse.methods.restore.noiser import NoiSER, _location, recolored
from ipse.metrics.restoration import brightness


@pytest.fixture(scope="module")
def photos() -> list[Tensor]:
    """The two photos of scikit-learn at a quarter of their size, (1, 3, 107, 160)."""
    from sklearn.datasets import load_sample_images

    return [torch.from_numpy(x[::4, ::4] / 255).permute(2, 0, 1)[None].float() for x in load_sample_images().images]


@pytest.fixture(scope="module")
def learned() -> NoiSER:
    model = build("noiser", 3, {"size": 32, "lr": 5e-3})
    model.fit(seed=0, steps=300)
    assert isinstance(model, NoiSER)
    return model


def test_about_a_thousand_parameters() -> None:
    assert sum(p.numel() for p in NoiSER().parameters()) == 20 * 27 + 20 + 3 * 180 + 3  # 1103


def test_brightness_and_contrast_of_the_input_do_not_matter(learned: NoiSER, photos: list[Tensor]) -> None:
    for gain, lift in ((0.3, 0.0), (0.5, 0.4), (0.9, 0.05)):
        torch.testing.assert_close(learned.restore(gain * photos[0] + lift), learned.restore(photos[0]), atol=1e-3, rtol=0)


def test_fresh_noise_is_repeated(learned: NoiSER) -> None:
    errors = []
    for key in range(5):
        noise = learned.sample(10_000 + key)
        with torch.no_grad():
            errors.append(float((learned.net(noise) - noise).abs().mean()))
    assert np.mean(errors) < 0.1 * learned.sigma


def test_grey_world(learned: NoiSER) -> None:
    noise = torch.randn(1, 3, 300, 300, generator=torch.Generator().manual_seed(0))
    tinted = 0.2 + 0.05 * noise * torch.tensor([1.0, 0.5, 0.2])[:, None, None] + torch.tensor([0.1, 0, 0.05])[:, None, None]
    means = learned.restore(tinted.clamp(0, 1)).mean((0, 2, 3))
    assert float(means.max() - means.min()) < 0.05


def test_learning_looks_at_no_data() -> None:
    class Forbidden(list):  # type: ignore[type-arg]
        def __getitem__(self, i: object) -> object:
            raise AssertionError("it looked")

    model = build("noiser", 3, {"size": 16})
    model.fit(Forbidden([1]), seed=0, steps=2)
    assert list(inspect.signature(NoiSER.sample).parameters) == ["self", "key", "pure"]


def test_dark_photos_become_bright_and_overexposed_ones_darker(learned: NoiSER, photos: list[Tensor]) -> None:
    for photo in photos:
        dark, light = photo**2.2 * 0.25, 1 - (1 - photo) * 0.3
        assert brightness(dark[0]) < 0.15
        assert 0.3 < brightness(learned.restore(dark)[0]) < 0.65
        assert brightness(learned.restore(light)[0]) < brightness(light[0]) - 0.15


@pytest.mark.parametrize("mean", [0.25, 0.5, 0.7])
def test_mean_shift(mean: float) -> None:
    for settings in ({}, {"regress": "palette", "block": 1}):
        model = NoiSER(brightness=mean, size=200, **settings)  # type: ignore[arg-type]
        noise = model.sample(3)
        assert float(noise.mean()) == pytest.approx(2 * mean - 1, abs=0.02)
        assert noise.abs().max() <= 1


def test_location_by_hand() -> None:
    # N(m, 1) clamped to [-1, 1] for a large sigma is -1 or 1 by the sign alone: mean 2 Phi(m / sigma) - 1
    expected = 1000 * float(torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(0.75)))
    assert _location(0.5, 1000.0) == pytest.approx(expected, rel=1e-3)
    assert _location(0.0, 3.0) == 0


def test_variants_sample_what_they_say() -> None:
    palette = NoiSER(regress="palette", size=24, block=8).sample(1)
    assert palette.shape == (1, 3, 24, 24)
    assert torch.equal(palette[..., :8, :8], palette[..., :1, :1].expand(1, 3, 8, 8))
    assert not torch.equal(palette[..., 0, 0], palette[..., 8, 8])
    pure = NoiSER(regress="color", size=24).sample(1, pure=True)
    assert torch.equal(pure, pure[..., :1, :1].expand_as(pure))
    assert NoiSER(regress="color", size=24).sample(1).std() > 0.5


def test_tiles_and_the_whole_agree_in_their_statistics(learned: NoiSER, photos: list[Tensor]) -> None:
    x = photos[0][..., :106, :]
    parts = [
        Tile(x[..., max(0, top - 2) : top + 42, :], slice(min(top, 2), min(top, 2) + min(40, 106 - top))) for top in (0, 40, 80)
    ]
    whole, tiled = learned.survey([Tile(x)]), learned.survey(parts)
    torch.testing.assert_close(tiled.mean, whole.mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(tiled.variance, whole.variance, rtol=1e-5, atol=1e-9)
    features = learned.first(torch.nn.functional.pad(2 * x - 1, (1, 1, 1, 1), mode="replicate"))
    torch.testing.assert_close(whole.variance[..., 0, 0], features.var((2, 3), correction=0), rtol=1e-3, atol=1e-8)


def test_parity_with_torch_instance_norm(learned: NoiSER, photos: list[Tensor]) -> None:
    net = torch.nn.Sequential(
        torch.nn.ReplicationPad2d(1),
        learned.first,
        torch.nn.InstanceNorm2d(20, eps=1e-10),
        torch.nn.GELU(),
        torch.nn.ReplicationPad2d(1),
        learned.last,
        torch.nn.Tanh(),
    )
    with torch.no_grad():
        torch.testing.assert_close(learned.restore(photos[1]), (net(2 * photos[1] - 1) + 1) / 2, atol=1e-5, rtol=0)


def test_hues_are_kept_and_the_light_is_the_nets() -> None:
    x, y = torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(0)).mul(0.5).split(1)
    z = recolored(x, y)
    luma = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    torch.testing.assert_close((luma * z).sum(1), (luma * y).sum(1), atol=2e-3, rtol=0)
    grey = torch.full((1, 3, 2, 2), 0.2)
    assert float(recolored(grey, y[..., :2, :2]).std(dim=1).max()) < 1e-6
    # Hand-worked: (0.2, 0.1, 0.1) has the luma 0.1299; at 0.2598 it is (0.4, 0.2, 0.2).
    hand = recolored(torch.tensor([0.2, 0.1, 0.1])[None, :, None, None], torch.full((1, 3, 1, 1), 0.2598))
    torch.testing.assert_close(hand.flatten(), torch.tensor([0.4, 0.2, 0.2]), atol=1e-4, rtol=0)
    assert z.min() >= 0
    assert z.max() <= 1


def test_without_normalization_nothing_happens() -> None:
    """The ablation: a net that repeats noise as it is leaves a dark photo dark."""
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.1
    model = build("noiser", 3, {"size": 32, "lr": 5e-3, "sigma": 0.5})
    model.fit(seed=0, steps=120)
    assert isinstance(model, NoiSER)
    assert brightness(model.restore(x)[0]) > 0.3
    plain = torch.nn.Sequential(
        torch.nn.Conv2d(3, 20, 3, padding=1), torch.nn.GELU(), torch.nn.Conv2d(20, 3, 3, padding=1), torch.nn.Tanh()
    )
    optimizer = torch.optim.Adam(plain.parameters(), lr=5e-3)
    for step in range(120):
        noise = model.sample(step)
        (plain(noise) - noise).abs().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        assert brightness((plain(2 * x - 1)[0] + 1) / 2) < 0.2


@pytest.mark.parametrize("settings", [{"brightness": 0}, {"brightness": 1.5}, {"color": 2}, {"sigma": 0}, {"hidden": 0}])
def test_mistakes(settings: dict[str, float]) -> None:
    with pytest.raises(UserError, match=f"noiser: {next(iter(settings))}"):
        NoiSER(**settings)  # type: ignore[arg-type]
