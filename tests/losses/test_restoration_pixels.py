from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ipse.losses.restoration_pixels import _edges, downsampled_invariance, half_resolution_agreement
from ipse.transforms.subsample import diagonals


def picture(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_the_edge_filter_sums_to_zero() -> None:
    torch.testing.assert_close(_edges(torch.full((1, 3, 12, 9), 0.7)), torch.zeros(1, 3, 12, 9), atol=1e-6, rtol=0)
    x = picture(1, 1, 16, 16)
    torch.testing.assert_close(_edges(x + 0.2), _edges(x))


def test_the_edge_term_ignores_constants() -> None:
    y = picture(1, 1, 16, 16)
    halves = diagonals(y)
    shifted = half_resolution_agreement(y, y + 0.1, *(d + 0.1 for d in halves))
    torch.testing.assert_close(shifted, half_resolution_agreement(y, y, *halves))


def test_agreement_by_hand() -> None:
    y = torch.zeros(1, 1, 8, 8)
    s1, s2 = torch.full((1, 1, 4, 4), 0.3), torch.full((1, 1, 4, 4), -0.6)
    # |s1 - s2| = 0.9, |s1 - e1| = 0.3, |s2 - e2| = 0.6, |e1 - e2| = 0
    assert half_resolution_agreement(y, y, s1, s2).item() == pytest.approx(0.6)


def test_nothing_of_the_agreement_is_detached() -> None:
    full, first, second = picture(1, 1, 8, 8), picture(1, 1, 4, 4, seed=1), picture(1, 1, 4, 4, seed=2)
    tensors = [t.requires_grad_() for t in (full, first, second)]
    assert torch.autograd.gradcheck(
        lambda f, a, b: half_resolution_agreement(picture(1, 1, 8, 8, seed=3), f, a, b, 3.0), tensors
    )


def test_the_blind_target_gets_no_gradient() -> None:
    x, blind, seen = (picture(1, 1, 4, 4, seed=s).requires_grad_() for s in range(3))
    small = picture(1, 1, 2, 2, seed=4).requires_grad_()
    terms = downsampled_invariance(x, blind, seen, seen[..., ::2, ::2], small)
    sum(terms).backward()  # type: ignore[union-attr]
    assert small.grad is None
    assert blind.grad is not None
    assert seen.grad is not None
