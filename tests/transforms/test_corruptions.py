"""Corruptions: every kind and severity on pictures of any size, a function of (seed, position), as strong as said."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from ipse.data import form
from ipse.errors import UserError
from ipse.transforms.corruptions import corrupt, kinds, plasma, poisson

KINDS = kinds()
every_kind = pytest.mark.parametrize("kind", KINDS)


def photos(n: int = 8, size: int = 32, channels: int = 3) -> torch.Tensor:
    from sklearn.datasets import load_sample_images

    photo = torch.tensor(load_sample_images().images[0]).permute(2, 0, 1).float() / 127.5 - 1
    x = torch.stack([photo[:, 15 * i : 15 * i + 4 * size : 4, 40 * i : 40 * i + 4 * size : 4] for i in range(n)])
    return x if channels == 3 else x.mean(1, keepdim=True)


def test_there_are_fifteen_kinds() -> None:
    assert len(KINDS) == 15


@every_kind
@pytest.mark.parametrize(("size", "channels"), [(8, 1), (28, 1), (32, 3), (50, 3)])
def test_every_severity_on_every_size(kind: str, size: int, channels: int) -> None:
    x = photos(3, size, channels)
    for severity in range(1, 6):
        y = corrupt(x, kind, severity)
        assert y.shape == x.shape
        assert y.isfinite().all()
        assert y.abs().max() <= 1
        if severity == 5 and size >= 28:
            assert (y - x).abs().mean() > 0.01
    assert corrupt(x, kind, 0) is x


@every_kind
def test_what_happens_depends_on_seed_and_position_alone(kind: str) -> None:
    x = photos()
    whole = corrupt(x, kind, 4, seed=3)
    torch.testing.assert_close(corrupt(x[5:7], kind, 4, seed=3, position=torch.tensor([5, 6])), whole[5:7], atol=1e-5, rtol=0)
    drawn = kind not in ("defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg")
    assert torch.equal(corrupt(x, kind, 4, seed=4), whole) != drawn
    assert torch.equal(corrupt(x[:1].expand(2, -1, -1, -1), kind, 4).diff(dim=0).abs().max() > 1e-5, torch.tensor(drawn))


@pytest.mark.parametrize(
    "kind",
    ["gaussian_noise", "shot_noise", "impulse_noise", "motion_blur", "zoom_blur", "fog", "brightness", "contrast", "jpeg"],
)
def test_stronger_is_farther_from_the_picture(kind: str) -> None:
    x = photos(8, 48) * 0.7
    far = [float((corrupt(x, kind, s) - x).square().mean()) for s in range(1, 6)]
    assert far == sorted(far)


def test_levels() -> None:
    grey = torch.zeros(4, 3, 32, 32)
    assert float(corrupt(grey, "gaussian_noise", 5).std()) == pytest.approx(2 * 0.10, rel=0.02)
    assert float(corrupt(grey, "shot_noise", 5).std()) == pytest.approx(2 * (0.5 / 50) ** 0.5, rel=0.03)
    assert float((corrupt(grey, "impulse_noise", 5) != 0).float().mean()) == pytest.approx(0.07, abs=0.006)
    assert torch.allclose(corrupt(grey, "brightness", 3), torch.full_like(grey, 0.3), atol=1e-6)
    x = photos()
    mean = x.mean((2, 3), keepdim=True)
    torch.testing.assert_close(corrupt(x, "contrast", 2), mean + 0.5 * (x - mean))


def test_blurs_keep_the_mean_and_lose_detail() -> None:
    x = photos(8, 64)
    for kind in ("defocus_blur", "motion_blur", "zoom_blur", "pixelate"):
        y = corrupt(x, kind, 5)
        assert float((y.mean() - x.mean()).abs()) < 0.03
        assert y.diff(dim=3).square().mean() < x.diff(dim=3).square().mean()


def test_lengths_grow_with_the_picture() -> None:
    """A picture twice as large loses as much to a blur."""
    small = photos(4, 32)
    large = torch.nn.functional.interpolate(small, scale_factor=3, mode="bicubic")
    for kind in ("motion_blur", "defocus_blur"):
        down = torch.nn.functional.avg_pool2d(corrupt(large, kind, 5), 3)
        assert float((down - corrupt(small, kind, 5)).abs().mean()) < 0.5 * float(
            (corrupt(small, kind, 5) - small).abs().mean()
        )


def test_jpeg_is_that_of_a_library() -> None:
    x = photos(6, 48)
    ours = corrupt(x, "jpeg", 5)
    for picture, own in zip(x, ours, strict=True):
        file = io.BytesIO()
        Image.fromarray(((picture + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()).save(file, "JPEG", quality=40)
        theirs = torch.tensor(np.array(Image.open(file))).permute(2, 0, 1).float() / 127.5 - 1
        lost = float((theirs - picture).square().mean())
        assert float((own - theirs).square().mean()) < 0.15 * lost


def test_poisson_numbers_have_mean_and_variance_of_their_rate() -> None:
    u = (torch.arange(20000) + 0.5) / 20000
    for rate in (0.0, 0.3, 4.0, 11.9, 12.1, 60.0, 400.0):
        k = poisson(torch.full_like(u, rate), u)
        assert float(k.mean()) == pytest.approx(rate, rel=0.01, abs=0.01)
        assert float(k.var()) == pytest.approx(rate, rel=0.05, abs=0.02)


def test_clouds_fill_the_range_and_are_rougher_where_they_decay_less() -> None:
    position = torch.arange(4)
    rough, smooth = (plasma(32, decay, 0, position) for decay in (1.5, 3.0))
    assert float(rough.min()) == 0
    assert float(rough.max()) == 1
    assert rough.shape == (4, 32, 32)
    assert rough.diff(dim=1).abs().mean() > 2 * smooth.diff(dim=1).abs().mean()


def test_simple_shifts_of_other_data() -> None:
    wave = torch.sin(torch.arange(2 * 800).float() / 5).view(2, 800) * 0.5
    wave[1, 600:] = torch.nan
    audio = form.audio(800)
    noisy = corrupt(wave, "noise", 5, form=audio)
    assert noisy.isnan().sum() == 200
    assert float((noisy - wave)[0].std()) == pytest.approx(float(wave[0].square().mean().sqrt()), rel=0.15)
    assert (corrupt(wave, "missing", 5, form=audio)[0] == 0).sum() == pytest.approx(400, abs=3)
    series = form.series(2, 100)
    x = torch.ones(3, 2, 100)
    assert corrupt(x, "missing", 3, form=series).isnan().float().mean() == pytest.approx(0.2, abs=0.02)
    scaled = corrupt(x, "scale", 4, form=series)
    assert set(scaled.unique().mul(3).round().int().tolist()) <= {1, 9}
    rows = form.table([{"name": "a", "categories": None}, {"name": "b", "categories": ["x", "y"]}])
    table = torch.ones(200, 2)
    assert torch.equal(corrupt(table, "noise", 5, form=rows)[:, 1], table[:, 1])
    assert float(corrupt(table, "noise", 5, form=rows)[:, 0].std()) == pytest.approx(1, rel=0.2)


def test_mistakes() -> None:
    with pytest.raises(UserError, match="did you mean 'fog'"):
        corrupt(photos(1), "fogg")
    with pytest.raises(UserError, match="1 to 5, not 6"):
        corrupt(photos(1), "fog", 6)
