from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import pdist, squareform
from torch import Tensor

from ipse.regularizers.t_regs import TREG, edge_lengths, spanning_tree


def cloud(n: int = 40, dim: int = 3, seed: int = 0) -> Tensor:
    return torch.randn(n, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def simplex(n: int) -> Tensor:
    """n points on the unit sphere of R^n, all equally far from each other and centered."""
    z = torch.eye(n, dtype=torch.float64) - 1 / n
    return z / z.norm(dim=1, keepdim=True)


@pytest.mark.parametrize(("n", "dim"), [(2, 1), (40, 3), (200, 64)])
def test_the_tree_is_minimal(n: int, dim: int) -> None:
    z = cloud(n, dim)
    edges = spanning_tree(z)
    assert edges.shape == (n - 1, 2)
    assert set(edges.flatten().tolist()) == set(range(n))
    expected = minimum_spanning_tree(squareform(pdist(z.numpy()))).sum()
    assert edge_lengths(z).sum().item() == pytest.approx(expected, rel=1e-10)


def test_length_scales_with_the_points() -> None:
    z = cloud()
    torch.testing.assert_close(edge_lengths(3 * z + 5).sum(), 3 * edge_lengths(z).sum())


def test_simplex() -> None:
    n = 6
    z = simplex(n)
    assert edge_lengths(z).sum().item() == pytest.approx((n - 1) * math.sqrt(2 * n / (n - 1)))
    assert TREG()(z).item() == pytest.approx(-(n - 1) / n * math.sqrt(2 * n / (n - 1)))
    assert TREG()(z, z).item() == pytest.approx(2 * TREG()(z).item())  # views are separate clouds


def test_gradient_of_a_point_sums_over_its_edges() -> None:
    z = cloud().requires_grad_()
    TREG(gamma=1.0, sphere=0.0)(z).backward()
    expected = np.zeros_like(z.detach().numpy())
    for i, j in spanning_tree(z).tolist():
        direction = (z[i] - z[j]).detach().numpy()
        direction /= np.linalg.norm(direction)
        expected[i] -= direction / len(z)
        expected[j] += direction / len(z)
    np.testing.assert_allclose(z.grad, expected, atol=1e-12)


def test_collapse_is_the_worst_and_has_a_finite_gradient() -> None:
    z = torch.zeros(8, 3)
    z[:, 0] = 1
    z.requires_grad_()
    loss = TREG()(z)
    loss.backward()
    assert loss.item() == 0  # no length, and all on the sphere
    assert z.grad is not None
    assert z.grad.isfinite().all()
    assert TREG()(2 * z.detach()).item() == pytest.approx(1)


def test_duplicates_are_connected_by_edges_of_length_zero() -> None:
    z = cloud(10).repeat(2, 1).requires_grad_()
    assert len(spanning_tree(z)) == 19
    torch.testing.assert_close(edge_lengths(z).sum(), edge_lengths(cloud(10)).sum())
    TREG()(z).backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()


def test_one_point_has_no_tree() -> None:
    assert TREG()(torch.tensor([[3.0, 4.0]])).item() == 16


def test_optimizing_points_gives_the_simplex() -> None:
    z = torch.nn.functional.normalize(cloud(4, 3).abs(), dim=1).requires_grad_()  # all in one octant
    optimizer = torch.optim.Adam([z], lr=0.05)
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 300)
        optimizer.zero_grad()
        TREG(sphere=10.0)(z).backward()
        optimizer.step()
    cosines = torch.nn.functional.normalize(z.detach(), dim=1)
    cosines = (cosines @ cosines.T)[~torch.eye(4, dtype=torch.bool)]
    torch.testing.assert_close(cosines, torch.full_like(cosines, -1 / 3), atol=1e-2, rtol=0)
