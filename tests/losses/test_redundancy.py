from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ipse.losses import barlow_twins


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def slow(z1: Tensor, z2: Tensor, redundancy: float, eps: float = 1e-5) -> float:
    a, b = (((z - z.mean(0)) / np.sqrt(z.var(0) + eps)) for z in (z1.numpy(), z2.numpy()))
    loss = 0.0
    for i in range(a.shape[1]):
        for j in range(a.shape[1]):
            c = (a[:, i] * b[:, j]).mean()
            loss += (1 - c) ** 2 if i == j else redundancy * c**2
    return loss


def test_equals_the_slow_version() -> None:
    z1, z2 = random(12, 5), random(12, 5, seed=1)
    for redundancy in (0.0, 5e-3, 1.0):
        assert barlow_twins(z1, z2, redundancy).item() == pytest.approx(slow(z1, z2, redundancy), rel=1e-10)


def test_identity_costs_nothing() -> None:
    z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert barlow_twins(z, z, eps=0.0).item() == 0


def test_identical_views_pay_for_redundancy_only() -> None:
    z = random(20, 4)
    c = np.corrcoef(z.numpy().T)
    assert barlow_twins(z, z, 0.1, eps=0.0).item() == pytest.approx(0.1 * (np.sum(c**2) - 4))


def test_affine_maps_and_common_sign_flips_of_features_change_nothing() -> None:
    z1, z2 = random(16, 3), random(16, 3, seed=1)
    scale, shift, sign = torch.tensor([2.0, 0.5, 7.0]), torch.tensor([1.0, -3.0, 0.0]), torch.tensor([1.0, -1.0, 1.0])
    expected = barlow_twins(z1, z2, eps=0.0)
    torch.testing.assert_close(barlow_twins(z1 * scale + shift, z2, eps=0.0), expected)
    torch.testing.assert_close(barlow_twins(z1 * sign, z2 * sign, eps=0.0), expected)


def test_equal_features() -> None:
    z = random(16, 1).expand(16, 6)
    assert barlow_twins(z, z, 5e-3, eps=0.0).item() == pytest.approx(5e-3 * 6 * 5)


def test_a_constant_feature_is_survived() -> None:
    z = random(8, 3)
    z[:, 1] = 4
    z.requires_grad_()
    barlow_twins(z, z.detach()).backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()
