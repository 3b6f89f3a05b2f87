from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ipse.errors import UserError
from ipse.regularizers.ldreg import LDReg, lid_mle, lid_mom, neighbor_distances


def cloud(n: int = 30, dim: int = 5, seed: int = 0) -> Tensor:
    return torch.randn(n, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def slow(z: np.ndarray, k: int, kind: str) -> float:
    logs = []
    for row in z:
        a = np.sort(np.linalg.norm(z - row, axis=1))  # a[0] is the row itself
        if kind == "mom":
            m = a[1:k].mean()
            lid = m / (a[k] - m)
        else:
            lid = -k / np.log(a[1:k] / a[k] + 1e-4).sum()
        logs.append(abs(np.log(lid)))
    return -float(np.mean(logs))


@pytest.mark.parametrize("kind", ["mom", "mle"])
def test_equals_the_slow_version(kind: str) -> None:
    z = cloud()
    assert LDReg(k=7, estimator=kind)(z).item() == pytest.approx(slow(z.numpy(), 7, kind), rel=1e-9)
    assert LDReg(k=7, estimator=kind)(z[:15], z[15:]).item() == pytest.approx(slow(z.numpy(), 7, kind), rel=1e-9)
    assert LDReg(k=64, estimator=kind)(z).item() == pytest.approx(slow(z.numpy(), 28, kind), rel=1e-9)


@pytest.mark.parametrize("dimension", [1, 2, 5, 40])
def test_expected_distances_in_a_ball_give_its_dimension(dimension: int) -> None:
    mean = dimension / (dimension + 1)
    distances = torch.tensor([[mean, mean, mean, 1.0]], dtype=torch.float64)
    assert lid_mom(7 * distances).item() == pytest.approx(dimension)


def test_scale_and_rotation_change_nothing() -> None:
    z = cloud()
    rotation = torch.linalg.qr(cloud(5, 5, seed=1)).Q
    torch.testing.assert_close(LDReg(k=7)(4 * z @ rotation + 2), LDReg(k=7)(z))


@pytest.mark.parametrize("estimate", [lid_mom, lid_mle])
def test_line_and_disc(estimate: object) -> None:
    generator = torch.Generator().manual_seed(0)
    points = 2 * torch.rand(2000, 2, generator=generator) - 1
    disc = points[points.norm(dim=1) < 1]
    line = torch.cat([points[:, :1], 2 * points[:, :1]], dim=1)
    for z, dimension in ((line, 1), (disc, 2)):
        lid = estimate(neighbor_distances(z, z, 20, torch.arange(len(z))))  # type: ignore[operator]
        assert lid.log().mean().exp().item() == pytest.approx(dimension, rel=0.15)


def test_a_dimension_of_one_costs_nothing() -> None:
    # Every row of a regular ring of three neighbors: m = 1/2 a_k would be LID 1.
    assert lid_mom(torch.tensor([[0.5, 0.5, 1.0]])).log().abs().item() == pytest.approx(0, abs=1e-6)


def test_the_gradient_reaches_queries_only() -> None:
    z = cloud().requires_grad_()
    LDReg(k=7)(z).backward()
    reference = cloud()
    queries = cloud().requires_grad_()

    def fixed(q: Tensor) -> Tensor:
        return -lid_mom(neighbor_distances(q, reference, 7, torch.arange(30))).log().abs().mean()

    fixed(queries).backward()
    torch.testing.assert_close(z.grad, queries.grad)
    assert torch.autograd.gradcheck(fixed, (queries,), atol=1e-6)


@pytest.mark.parametrize("kind", ["mom", "mle"])
def test_collapse_costs_nothing_and_has_a_finite_gradient(kind: str) -> None:
    for z in (torch.ones(10, 3), torch.eye(10), torch.cat([torch.ones(8, 3), cloud(2, 3).float()])):
        z.requires_grad_()
        loss = LDReg(k=5, estimator=kind)(z)
        loss.backward()
        assert loss.isfinite()
        assert z.grad is not None
        assert z.grad.isfinite().all()
    assert LDReg(k=5, estimator=kind)(torch.ones(10, 3)).item() == 0


def test_mistakes() -> None:
    with pytest.raises(UserError, match="at least 4 embeddings to measure distances between, given 3"):
        LDReg()(torch.randn(3, 2))
    with pytest.raises(UserError, match="unknown LID estimator 'mim'"):
        LDReg(estimator="mim")
