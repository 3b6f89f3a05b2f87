from __future__ import annotations

import pytest
import torch
from torch import nn

from ipse.errors import UserError
from ipse.losses.perceptual import cosine_distance, self_feature_preserving
from ipse.models.perceptual import VGG


def pictures(seed: int = 0) -> torch.Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def test_no_distance_from_itself() -> None:
    phi = VGG(["2_1", "5_1"], width=4)
    f = phi(pictures())
    assert self_feature_preserving(f[1], f[1]).item() == 0
    assert cosine_distance(f, f).item() == pytest.approx(0, abs=1e-6)
    assert self_feature_preserving(f[1], phi(pictures(1))[1]) > 0.01


def test_brightness_and_contrast_do_not_count_for_linear_features() -> None:
    torch.manual_seed(0)
    phi = nn.Conv2d(3, 5, 3, bias=False)
    x = pictures()
    assert self_feature_preserving(phi(0.3 * x + 0.5), phi(x)).item() == pytest.approx(0, abs=1e-4)
    assert self_feature_preserving(phi(x.flip(-1)), phi(x)).item() > 0.1


def test_cosine_of_opposites() -> None:
    f = torch.randn(1, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    assert cosine_distance([f, f], [-f, 2 * f]).item() == pytest.approx(2, rel=1e-5)


def test_features_are_frozen_seeded_and_let_gradients_through() -> None:
    before = torch.random.get_rng_state()
    one, two, other = VGG(["3_1"], width=4), VGG(["3_1"], width=4), VGG(["3_1"], width=4, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    x = pictures().requires_grad_()
    assert torch.equal(one(x)[0], two(x)[0])
    assert not torch.equal(one(x)[0], other(x)[0])
    one(x)[0].sum().backward()
    assert x.grad is not None
    assert not any(p.requires_grad for p in one.parameters())
    assert one(x)[0].shape == (2, 16, 8, 8)


def test_mistakes() -> None:
    with pytest.raises(UserError, match="random or vgg16"):
        VGG(["5_1"], weights="resnet")
    with pytest.raises(UserError, match="no layer '6_1'"):
        VGG(["6_1"])
