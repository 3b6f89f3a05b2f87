from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ipse.models.flow import FlowNet, lucas_kanade
from ipse.models.warp import backward_warp, between, reversed_flows, splat


def picture(height: int = 48, width: int = 48, dx: float = 0, dy: float = 0) -> Tensor:
    """Smooth waves, moved by (dx, dy)."""
    x, y = torch.arange(width) - dx, torch.arange(height)[:, None] - dy
    return (0.5 + 0.2 * torch.sin(0.35 * x) * torch.cos(0.3 * y) + 0.2 * torch.sin(0.21 * (x + y)))[None, None]


def constant(dx: float, dy: float, size: int = 48) -> Tensor:
    return torch.tensor([dx, dy]).view(1, 2, 1, 1).expand(1, 2, size, size)


def test_no_flow_is_the_identity() -> None:
    x = torch.rand(2, 3, 7, 9)
    torch.testing.assert_close(backward_warp(x, torch.zeros(2, 2, 7, 9)), x)


@pytest.mark.parametrize(("dx", "dy"), [(1, 0), (0, 2), (-3, 1)])
def test_whole_flow_is_a_shift(dx: int, dy: int) -> None:
    x = torch.rand(1, 2, 12, 12)
    y = backward_warp(x, constant(dx, dy, 12))
    rows, columns = (torch.arange(12) + d for d in (dy, dx))
    expected = x[..., rows.clamp(0, 11), :][..., columns.clamp(0, 11)]
    torch.testing.assert_close(y, expected, atol=1e-5, rtol=1e-5)


def test_splat_sends_pixels_where_the_flow_points() -> None:
    x = torch.zeros(1, 1, 6, 6)
    x[..., 2, 2] = 1
    moved, weight = splat(x, constant(1, 2, 6))
    assert moved[0, 0, 4, 3] == 1  # weight exp(0)
    assert moved[0, 0, 5, 4].item() == pytest.approx(torch.exp(torch.tensor(-2.0)).item())
    assert weight[0, 0, 0, 0] == 0
    assert weight[0, 0, 2, 1] == 1


def test_reversed_flows_at_both_ends() -> None:
    f01, f10 = constant(2, 0) * 1.0, constant(-2, 0) * 1.0
    g0, g1 = picture(), picture(dx=2)
    for time, end in ((0.0, g0), (1.0, g1)):
        t = torch.full((1, 1, 48, 1), time)
        t0, t1 = reversed_flows(f01, f10, t)
        near = t0 if time == 0 else t1
        torch.testing.assert_close(near, torch.zeros_like(near))
        torch.testing.assert_close(between(g0, g1, f01, f10, t), end)


@pytest.mark.parametrize("time", [0.25, 0.5, 0.9])
def test_reversed_flows_of_a_constant_velocity(time: float) -> None:
    t0, t1 = reversed_flows(constant(4, -2) * 1.0, constant(-4, 2) * 1.0, torch.full((1, 1, 1, 1), time))
    inner = (..., slice(8, -8), slice(8, -8))
    torch.testing.assert_close(t0[inner], -time * constant(4, -2)[inner])
    torch.testing.assert_close(t1[inner], (1 - time) * constant(4, -2)[inner])


def test_where_nothing_arrives_there_is_no_flow() -> None:
    away = constant(100, 0, 8) * 1.0
    t0, t1 = reversed_flows(away, away, torch.full((1, 1, 1, 1), 0.5))
    assert t0.abs().max() == 0
    assert t1.abs().max() == 0


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (1, 0), (2.5, -1.5), (-4, 3)])
def test_lucas_kanade_finds_a_constant_motion(dx: float, dy: float) -> None:
    found = lucas_kanade(picture(), picture(dx=dx, dy=dy))
    error = (found - constant(dx, dy))[..., 8:-8, 8:-8].abs()
    assert error.mean() < 0.3
    assert error.median() < 0.1
    if dx == dy == 0:
        assert found.abs().max() < 1e-4


def test_lucas_kanade_agrees_with_scikit_images() -> None:
    registration = pytest.importorskip("skimage.registration")
    a, b = picture()[0, 0], picture(dx=1.5, dy=-1)[0, 0]
    theirs = torch.from_numpy(registration.optical_flow_ilk(a.numpy(), b.numpy(), radius=5))  # rows first
    ours = lucas_kanade(a[None, None], b[None, None])[0]
    assert (ours - theirs.flip(0))[..., 10:-10, 10:-10].abs().mean() < 0.2


def test_lucas_kanade_has_gradients() -> None:
    a = picture().requires_grad_()
    lucas_kanade(a, picture(dx=1)).square().sum().backward()
    assert a.grad is not None
    assert a.grad.isfinite().all()
    assert a.grad.abs().max() > 0


def test_flow_net_takes_any_size() -> None:
    torch.manual_seed(0)
    flow = FlowNet(3, width=4)(torch.rand(2, 3, 13, 21), torch.rand(2, 3, 13, 21))
    assert flow.shape == (2, 2, 13, 21)
    assert flow.abs().max() <= 24
