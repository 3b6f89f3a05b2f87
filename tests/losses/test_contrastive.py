from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.errors import UserError
from ipse.losses import coupling, decoupled, info_nce, moco_contrast, nt_xent


def views(batch: int = 5, dim: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    z = torch.randn(2, batch, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return z[0], z[1]


def slow(z1: Tensor, z2: Tensor, tau: float, kind: str, sigma: float = math.inf) -> float:
    """One anchor and one negative at a time."""
    z = np.concatenate([z1.numpy(), z2.numpy()])
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    batch = len(z1)
    kernel = [math.exp(z[i] @ z[i + batch] / sigma) for i in range(batch)]
    total = 0.0
    for a in range(2 * batch):
        other = (a + batch) % (2 * batch)
        positive = z[a] @ z[other] / tau
        negatives = [math.exp(z[a] @ z[n] / tau) for n in range(2 * batch) if n not in (a, other)]
        weight = 2 - kernel[a % batch] / np.mean(kernel)
        if kind == "nt_xent":
            total += -positive + math.log(math.exp(positive) + sum(negatives))
        else:
            total += -weight * positive + math.log(sum(negatives))
    return total / (2 * batch)


def test_equals_the_slow_versions() -> None:
    z1, z2 = views()
    assert nt_xent(z1, z2, 0.2).item() == pytest.approx(slow(z1, z2, 0.2, "nt_xent"), rel=1e-12)
    assert decoupled(z1, z2, 0.2).item() == pytest.approx(slow(z1, z2, 0.2, "decoupled"), rel=1e-12)
    assert decoupled(z1, z2, 0.2, sigma=0.5).item() == pytest.approx(slow(z1, z2, 0.2, "decoupled", 0.5), rel=1e-12)


def test_gradient_of_an_anchor_is_the_coupling_times_the_decoupled_one() -> None:
    z1, z2 = views()
    q = coupling(z1, z2, 0.1)
    for i in range(len(z1)):
        anchor = F.normalize(z1[i], dim=0).requires_grad_()
        others = F.normalize(torch.cat([z1[:i], z1[i + 1 :], z2[:i], z2[i + 1 :]]), dim=1)
        positive = anchor @ F.normalize(z2[i], dim=0) / 0.1
        negatives = torch.logsumexp(others @ anchor / 0.1, 0)
        (coupled,) = torch.autograd.grad(torch.logaddexp(positive, negatives) - positive, anchor, retain_graph=True)
        (free,) = torch.autograd.grad(negatives - positive, anchor)
        torch.testing.assert_close(coupled, q[i] * free)


def test_equal_embeddings() -> None:
    z = torch.ones(6, 3)
    assert decoupled(z, z).item() == pytest.approx(math.log(2 * 6 - 2), rel=1e-5)
    assert nt_xent(z, z).item() == pytest.approx(math.log(2 * 6 - 1), rel=1e-5)
    torch.testing.assert_close(coupling(z, z), torch.full((12,), 10 / 11))


def test_decoupled_reaches_its_lower_bound_below_zero() -> None:
    z = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])  # positives agree, all negatives are opposite
    assert decoupled(z, z, 0.1).item() == pytest.approx(-2 / 0.1 + math.log(2), rel=1e-6)
    for seed in range(5):
        assert decoupled(*views(seed=seed), 0.1).item() > -2 / 0.1 + math.log(2 * 5 - 2)


def test_weights_of_positives() -> None:
    z1, z2 = views()
    torch.testing.assert_close(decoupled(z1, z2, sigma=1e9), decoupled(z1, z2))
    # The weights average to 1: equal positives leave the loss unchanged, whatever sigma.
    torch.testing.assert_close(decoupled(z1, z1, sigma=0.5), decoupled(z1, z1))
    assert decoupled(z1, z2, sigma=1e-3).isfinite()


def test_weights_are_detached() -> None:
    z1, z2 = views()
    z1.requires_grad_()
    (gradient,) = torch.autograd.grad(decoupled(z1, z2, 0.3, sigma=0.5), z1)
    cosine = F.cosine_similarity(z1, z2)
    weight = (2 - torch.exp(cosine / 0.5) / torch.exp(cosine / 0.5).mean()).detach()
    extra = ((1 - weight) * cosine / 0.3).mean()  # what turns w = 1 into w
    (expected,) = torch.autograd.grad(decoupled(z1, z2, 0.3) + extra, z1)
    torch.testing.assert_close(gradient, expected)


def test_coupling_rises_with_the_batch() -> None:
    z, noise = views(256, 8)
    parts = {batch: zip(z.split(batch), (z + 0.3 * noise).split(batch), strict=True) for batch in (2, 8, 32, 256)}
    means = [torch.cat([coupling(*pair, 0.2) for pair in pairs]).mean().item() for pairs in parts.values()]
    assert means == sorted(means)
    assert all(0 <= q <= 1 for q in means)


def test_info_nce_is_the_cross_entropy_against_the_diagonal() -> None:
    q, k = views()
    logits = F.normalize(q) @ F.normalize(k).T / 0.2
    assert info_nce(q, k, 0.2).item() == pytest.approx(-logits.log_softmax(1).diagonal().mean().item())
    assert info_nce(k, k, 0.2) < info_nce(k, k.roll(1, 0), 0.2)


@pytest.mark.parametrize("tau", [0.2, 1.0])
def test_moco_of_orthogonal_keys(tau: float) -> None:
    keys = torch.eye(7)
    assert moco_contrast(keys, keys, tau).item() == pytest.approx(2 * tau * math.log(1 + 6 * math.exp(-1 / tau)), rel=1e-5)


def test_moco_keys_get_no_gradient() -> None:
    q, k = (z.requires_grad_() for z in views())
    moco_contrast(q, k).backward()
    assert k.grad is None
    assert q.grad is not None
    assert q.grad.abs().sum() > 0


def test_one_sample_has_no_negatives() -> None:
    for loss in (nt_xent, decoupled):
        with pytest.raises(UserError, match="at least 2 samples"):
            loss(torch.ones(1, 3), torch.ones(1, 3))
