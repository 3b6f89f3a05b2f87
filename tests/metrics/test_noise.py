from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.methods.restore.choice import choose
from ipse.methods.restore.kept import build
from ipse.metrics.noise import Noise, estimate, gaussian_sigma


def photo(name: str = "china.jpg") -> Tensor:
    from sklearn.datasets import load_sample_image

    return torch.from_numpy(load_sample_image(name) / 255).permute(2, 0, 1).float()


def normal(x: Tensor) -> Tensor:
    return torch.randn(x.shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("sigma", [0.1, 0.2])
def test_gaussian_noise_on_a_photo(sigma: float) -> None:
    x = photo()
    assert gaussian_sigma([x + sigma * normal(x)]) == pytest.approx(sigma, rel=0.15)


def test_noise_that_grows_with_light() -> None:
    x = photo("flower.jpg")
    gain = 0.02
    chance = torch.Generator().manual_seed(0)
    noisy = torch.poisson(x / gain, generator=chance) * gain
    found, white = estimate(noisy.clamp(0, 1)), estimate((x + 0.1 * normal(x)).clamp(0, 1))
    assert found.from_light > 0.5
    assert white.from_light < 0.4


def test_correlated_noise() -> None:
    x = photo()
    smooth = F.avg_pool2d(normal(x)[None], 3, 1, 1)[0] * 3 * 0.08
    assert estimate((x + smooth).clamp(0, 1)).correlation > 0.3
    assert abs(estimate((x + 0.08 * normal(x)).clamp(0, 1)).correlation) < 0.2


@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 5, 7), (3, 9, 1), (1, 16, 16)])
def test_tiny_pictures(shape: tuple[int, ...]) -> None:
    found = estimate(torch.full(shape, 0.5))
    assert found.sigma == 0
    assert found.brightness == pytest.approx(0.5)


def test_what_is_chosen_can_be_built() -> None:
    found = [choose(Noise(0.1, *rest)) for rest in ((0.0, 0.0, 0.5), (1.0, 0.0, 0.5), (0.0, 1.0, 0.5), (0.0, 0.0, 0.1))]
    assert len({(choice.method, choice.settings.get("noise")) for choice in found}) == 4
    for choice in found:
        assert build(choice.method, 3, choice.settings).noise


def test_choices() -> None:
    x = photo()
    dark = choose(estimate(x**2.2 * 0.25))
    assert dark.method == "noiser"
    assert "dark" in dark.why
    assert choose(estimate(1 - (1 - x) * 0.2)).method == "noiser"
    noisy = choose(estimate((x + 0.1 * normal(x)).clamp(0, 1)))
    assert noisy.method
    assert "white noise" in noisy.why
    smooth = F.avg_pool2d(normal(x)[None], 3, 1, 1)[0] * 3 * 0.08
    assert "correlated" in choose(estimate((x + smooth).clamp(0, 1))).why
    photons = torch.poisson(photo("flower.jpg") / 0.02, generator=torch.Generator().manual_seed(0)) * 0.02
    assert choose(estimate(photons.clamp(0, 1))).settings["noise"] == "poisson"
    assert choose(estimate(torch.full((3, 64, 64), 0.5))).method == ""
