from __future__ import annotations

import pytest
import torch

from ipse.losses import byol


def test_range() -> None:
    p = torch.randn(4, 3)
    assert byol(p, 2 * p).item() == pytest.approx(0, abs=1e-6)
    assert byol(p, -p).item() == pytest.approx(4)
    assert byol(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]])).item() == 2


def test_targets_get_no_gradient() -> None:
    p, t = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3, requires_grad=True)
    byol(p, t).backward()
    assert t.grad is None
    assert p.grad is not None


def test_two_equal_targets_are_one() -> None:
    """TriBYOL's objective with equal targets and equal second and third views is BYOL's."""
    p1, p2, t1, t2 = torch.randn(4, 5, 3)
    half = (byol(p1, t2) + byol(p2, t1)) / 2
    torch.testing.assert_close(half + half, byol(p1, t2) + byol(p2, t1))
