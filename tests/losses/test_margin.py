from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.errors import UserError
from ipse.losses import additive_margin_nt_xent, info_nce, nt_xent

both = pytest.mark.parametrize("symmetric", [True, False])


def views(batch: int = 5, dim: int = 4) -> tuple[Tensor, Tensor]:
    z = torch.randn(2, batch, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return z[0], z[1]


def slow(z1: Tensor, z2: Tensor, tau: float, margin: float, symmetric: bool) -> float:
    """One anchor and one negative at a time."""
    z = F.normalize(torch.cat([z1, z2]), dim=1)
    batch = len(z1)
    losses = []
    for a in range(2 * batch if symmetric else batch):
        other = (a + batch) % (2 * batch)
        pool = range(2 * batch) if symmetric else range(batch, 2 * batch)
        positive = math.exp((float(z[a] @ z[other]) - margin) / tau)
        negatives = sum(math.exp(float(z[a] @ z[n]) / tau) for n in pool if n not in (a, other))
        losses.append(-math.log(positive / (positive + negatives)))
    return sum(losses) / len(losses)


@both
def test_equals_the_slow_version(symmetric: bool) -> None:
    z1, z2 = views()
    loss = additive_margin_nt_xent(z1, z2, 0.2, 0.15, symmetric)
    assert loss.item() == pytest.approx(slow(z1, z2, 0.2, 0.15, symmetric), rel=1e-12)


def test_without_a_margin() -> None:
    z1, z2 = views()
    torch.testing.assert_close(additive_margin_nt_xent(z1, z2, 0.1, 0.0), nt_xent(z1, z2, 0.1))
    torch.testing.assert_close(additive_margin_nt_xent(z1, z2, 0.1, 0.0, symmetric=False), info_nce(z1, z2, 0.1))


@both
def test_rises_with_the_margin(symmetric: bool) -> None:
    losses = [additive_margin_nt_xent(*views(), 0.1, margin, symmetric).item() for margin in (0.0, 0.05, 0.1, 0.2, 0.5)]
    assert losses == sorted(set(losses))


@both
def test_equal_cosines(symmetric: bool) -> None:
    z, negatives = torch.ones(6, 3).double(), 10 if symmetric else 5
    loss = additive_margin_nt_xent(z, 2 * z, 0.05, 0.2, symmetric)
    assert loss.item() == pytest.approx(math.log(1 + negatives * math.exp(0.2 / 0.05)))


def test_the_symmetric_form_does_not_mind_which_view_is_first() -> None:
    z1, z2 = views()
    torch.testing.assert_close(additive_margin_nt_xent(z1, z2), additive_margin_nt_xent(z2, z1))
    assert additive_margin_nt_xent(z1, z2, symmetric=False) != additive_margin_nt_xent(z2, z1, symmetric=False)


def test_pull_on_the_positive() -> None:
    """It is (1 - p) / temperature, with the probability p that the margin lowers."""
    pulls = []
    for margin in (0.0, 0.1, 0.3):
        cosine = torch.tensor([0.6, 0.1], dtype=torch.float64, requires_grad=True)  # of the one positive and one negative
        z2 = torch.stack([cosine, (1 - cosine**2).sqrt()], dim=1)
        z1 = torch.tensor([[1.0, 0.0]] * 2, dtype=torch.float64)
        first = 2 * additive_margin_nt_xent(z1, z2, 0.5, margin, symmetric=False)  # both anchors are the same
        p = [torch.sigmoid(torch.tensor((s * 0.5 - margin) / 0.5)).item() for s in (1, -1)]
        (gradient,) = torch.autograd.grad(first, cosine)
        # The second anchor has the same two vectors in exchanged roles.
        assert gradient[0].item() == pytest.approx((-(1 - p[0]) + (1 - p[1])) / 0.5, rel=1e-6)
        pulls.append((1 - p[0]) / 0.5)
    assert pulls == sorted(pulls)


@both
def test_one_sample_has_no_negatives(symmetric: bool) -> None:
    with pytest.raises(UserError, match="at least 2 samples"):
        additive_margin_nt_xent(torch.ones(1, 3), torch.ones(1, 3), symmetric=symmetric)
