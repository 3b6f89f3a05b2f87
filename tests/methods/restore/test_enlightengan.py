from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ipse.errors import UserError
from ipse.losses.adversarial import least_squares_discriminator, relativistic_discriminator
from ipse.methods.restore.enlightengan import AttentionUNet, EnlightenGAN, darkness


def small(channels: int = 3, **words: object) -> EnlightenGAN:
    torch.manual_seed(0)
    usual = {"width": 4, "depth": 2, "judges": 4, "size": 32, "crop": 16, "crops": 2, "batch": 2, "feature_width": 2}
    return EnlightenGAN(channels, **{**usual, **words}).eval()  # type: ignore[arg-type]


def photos(light: float, n: int = 2, channels: int = 3) -> list[Tensor]:
    chance = torch.Generator().manual_seed(int(100 * light))
    return [light * torch.rand(1, channels, 40, 36 + i, generator=chance) for i in range(n)]


def test_white_stays_as_it_is() -> None:
    net = AttentionUNet(3, width=4, depth=2).eval()
    x = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    x[..., :8, :] = 1
    y = net(x)
    assert darkness(x)[..., :8, :].abs().max() < 1e-6
    torch.testing.assert_close(y[..., :8, :], x[..., :8, :], atol=1e-5, rtol=0)
    assert (y - x)[..., 8:, :].abs().max() > 1e-3


def test_darkness_by_hand() -> None:
    x = torch.tensor([-1.0, 1.0, -1.0])[None, :, None, None]  # green alone
    assert darkness(x).item() == pytest.approx(1 - 0.587)
    assert darkness(torch.zeros(1, 1, 1, 1)).item() == 0.5


def test_discriminators_give_the_generator_no_gradient() -> None:
    method = small()
    dark, real = 2 * torch.rand(2, 3, 32, 32) - 1, 2 * torch.rand(2, 3, 32, 32) - 1
    fake = method.generator(dark)
    loss = relativistic_discriminator(method.whole(real), method.whole(fake.detach()))
    loss = loss + least_squares_discriminator(method.local(real[..., :16, :16]), method.local(fake.detach()[..., :16, :16]))
    loss.backward()
    assert all(p.grad is None for p in method.generator.parameters())
    assert all(p.grad is not None for p in method.whole.parameters())


@pytest.mark.parametrize("channels", [1, 3])
def test_learns_the_same_from_the_same_seed(channels: int) -> None:
    dark, bright = photos(0.1, channels=channels), photos(0.9, channels=channels)
    one, two, other = small(channels), small(channels), small(channels)
    before = one.restore(torch.cat([dark[0][..., :32, :32]]))
    for method, seed in ((one, 1), (two, 1), (other, 2)):
        method.fit(dark, like=bright, seed=seed, steps=3)
    x = dark[0][..., :32, :32]
    assert one.restore(x).shape == x.shape
    assert torch.equal(one.restore(x), two.restore(x))
    assert not torch.equal(one.generator.last.weight, other.generator.last.weight)
    assert not torch.equal(one.restore(x), before)


def test_all_players_move() -> None:
    method = small()
    before = {k: v.clone() for k, v in method.named_parameters()}
    method.fit(photos(0.1), like=photos(0.9), steps=2)
    still = {k for k, v in method.named_parameters() if torch.equal(v, before[k])}
    # A bias before an instance or batch norm may stay; whole players may not.
    assert {k.split(".")[0] for k in before if k not in still} == {"generator", "whole", "local"}


def test_tiles_look_no_further_than_the_halo() -> None:
    method = small(depth=1).eval()
    x = torch.rand(1, 3, 80, 80, generator=torch.Generator().manual_seed(0))
    y = x.clone()
    y[..., 40:, :] = 0
    changed = (method.restore(x) - method.restore(y)).abs().amax((0, 1, 3)).nonzero()[:, 0]
    assert 40 - method.halo <= changed.min().item() < 40


@pytest.mark.slow
def test_dark_photos_become_as_bright_as_those_wished_for() -> None:
    """Halves of different scenes: smooth waves, dark on one side, and bright ones of other frequencies to learn from."""
    place = torch.linspace(0, 6.28, 64)

    def scene(k: float, light: float) -> Tensor:
        wave = 0.5 + 0.5 * torch.sin(k * place)[:, None] * torch.cos(1.3 * k * place)
        return (light * (0.2 + 0.6 * wave)).expand(1, 3, 64, 64)

    dark, bright = [scene(k, 0.2) for k in (1.0, 2.0)], [scene(k, 1.0) for k in (1.5, 2.5)]
    method = small(width=8, depth=3, judges=16, lr=1e-3, batch=4)
    method.fit(dark, like=bright, steps=120)
    after = torch.cat([method.restore(x) for x in dark]).mean()
    assert abs(after - torch.cat(bright).mean()) < 0.5 * abs(torch.cat(dark).mean() - torch.cat(bright).mean())


def test_mistakes() -> None:
    with pytest.raises(UserError, match="multiple of 16"):
        EnlightenGAN(size=50)
    with pytest.raises(UserError, match="give it both"):
        small().fit(photos(0.1), steps=1)
    with pytest.raises(UserError, match=r"takes pictures \(B, 3, H, W\)"):
        small().restore(torch.zeros(1, 1, 32, 32))
