from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ipse.metrics import alpha_req, effective_dimension, rankme, spectrum


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def slow_rankme(z: Tensor, eps: float = 1e-7) -> float:
    s = np.linalg.svd(z.double().numpy(), compute_uv=False)
    p = s / s.sum() + eps
    return float(np.exp(-(p * np.log(p)).sum()))


@pytest.mark.parametrize("shape", [(9000, 12), (64, 64), (20, 50)])
def test_rankme_equals_the_svd(shape: tuple[int, int]) -> None:
    z = random(*shape) * torch.logspace(0, -3, shape[1])
    assert rankme(z) == pytest.approx(slow_rankme(z), rel=1e-6)


def test_rankme_of_full_and_lowest_rank() -> None:
    q = torch.linalg.qr(random(100, 8)).Q
    assert rankme(5 * q) == pytest.approx(8, abs=1e-3)
    assert rankme(torch.outer(random(100), random(4))) == pytest.approx(1, abs=1e-4)
    assert rankme(torch.diag(torch.tensor([2.0, 1.0, 1.0]))) == pytest.approx(math.exp(1.5 * math.log(2)), abs=1e-3)


def test_rankme_ignores_scale_order_and_rotation() -> None:
    z = random(60, 5) * torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    left, right = torch.linalg.qr(random(60, 60, seed=1)).Q, torch.linalg.qr(random(5, 5, seed=2)).Q
    for other in (100 * z, z[torch.randperm(60)], left @ z @ right):
        assert rankme(other) == pytest.approx(rankme(z), rel=1e-5)


def test_degenerate_embeddings_have_a_rank() -> None:
    assert rankme(torch.zeros(10, 4)) == 1
    assert rankme(torch.ones(10, 4)) == pytest.approx(1, abs=1e-4)
    assert math.isnan(rankme(torch.full((10, 4), math.nan)))


@pytest.mark.parametrize("shape", [(9000, 6), (5, 8)])
def test_spectrum_is_that_of_the_covariance(shape: tuple[int, int]) -> None:
    z = random(*shape) + 10
    values = np.linalg.eigvalsh(np.cov(z.double().numpy().T))[::-1]
    np.testing.assert_allclose(spectrum(z), values / values.sum(), atol=1e-9)


def test_effective_dimension() -> None:
    z = random(200, 6) @ random(6, 6, seed=1)
    values = np.linalg.eigvalsh(np.cov(z.double().numpy().T))
    assert effective_dimension(z) == pytest.approx(values.sum() ** 2 / (values**2).sum(), rel=1e-6)
    assert effective_dimension(torch.cat([torch.eye(4), -torch.eye(4)])) == pytest.approx(4)
    assert effective_dimension(torch.full((7, 3), 0.1)) == 0
    assert math.isnan(effective_dimension(torch.full((7, 3), math.inf)))


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_alpha_req_finds_a_power_law(alpha: float) -> None:
    orthogonal = torch.linalg.qr(random(400, 120)).Q
    orthogonal = torch.linalg.qr(orthogonal - orthogonal.mean(0)).Q.double()
    z = orthogonal * torch.arange(1, 121).double() ** (-alpha / 2)
    assert alpha_req(z) == pytest.approx(alpha, abs=1e-3)
    assert math.isnan(alpha_req(random(100, 3)))  # no fourth rank
