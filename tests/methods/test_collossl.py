"""ColloSSL: the checks of its card."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ipse.data import form
from ipse.data.series import Series
from ipse.errors import UserError
from ipse.losses.series import multi_device_contrast
from ipse.methods.pretrain.collossl import ColloSSL, choose, distances, elsewhere
from ipse.metrics.mmd import mmd
from ipse.models.dilated_conv import DilatedConv
from ipse.training import Batch
from ipse.transforms import View

FORM = form.series(8, 16, names=[f"{d} {c}" for d in ("head", "chest", "waist", "shin") for c in "xy"], mean=range(8))


def movements(n: int = 12) -> Tensor:
    """Windows (n, 4 * 2, 16) of four devices, of which each is further from the first than the one before."""
    generator = torch.Generator().manual_seed(0)
    common = torch.randn(n, 2, 16, generator=generator)
    return torch.cat([common + d * (1 + torch.randn(n, 2, 16, generator=generator) / 4) for d in range(4)], dim=1)


def small(anchor: int = 0, **settings: object) -> ColloSSL:
    torch.manual_seed(0)
    encoder = DilatedConv(ColloSSL.encoder_form(FORM, devices=4, anchor=anchor), dim=16, hidden=16, depth=2)
    return ColloSSL(encoder, **{"devices": 4, "anchor": anchor, "widths": (16, 8), **settings})


def batch(x: Tensor) -> Batch:
    return Batch([View(x)], torch.arange(len(x)), torch.arange(len(x)))


def test_one_positive_and_one_negative_are_a_softplus() -> None:
    torch.manual_seed(0)
    a, p, n = torch.randn(3, 6, 4)
    margin = F.cosine_similarity(a, n) - F.cosine_similarity(a, p)
    torch.testing.assert_close(multi_device_contrast(a, p[None], n[None], temperature=0.5), F.softplus(margin / 0.5).mean())


def test_a_device_without_weight_changes_nothing() -> None:
    torch.manual_seed(0)
    a, p, n, more = torch.randn(4, 6, 4)
    without = multi_device_contrast(a, p[None], n[None])
    weights = torch.tensor([1.0, 0.0])
    torch.testing.assert_close(multi_device_contrast(a, p[None], torch.stack([n, more]), None, weights), without)


def test_distances_are_the_mean_over_channels_in_any_order_of_the_windows() -> None:
    x = movements()
    far = distances(x, 4, 0)
    assert far == sorted(far)
    assert far[1] == pytest.approx((mmd(x[:, 0], x[:, 4]) + mmd(x[:, 1], x[:, 5])) / 2)
    order = torch.randperm(len(x))
    assert distances(x[order], 4, 0) == pytest.approx(far)
    assert mmd(x[:, 0], x[:, 0]) == 0
    assert distances(x.repeat(1, 2, 1), 8, 0)[3] == 1e-4  # of a device that records the same


def test_another_sample_is_never_the_same() -> None:
    for seed in range(20):
        other = elsewhere(torch.rand(9, generator=torch.Generator().manual_seed(seed)))
        assert sorted(other.tolist()) == list(range(9))
        assert not bool((other == torch.arange(9)).any())


def test_policies() -> None:
    order = [3, 1, 4, 2]
    assert choose("closest_pos_all_neg", order) == ([3], [3, 1, 4, 2])
    assert choose("closest_pos_rest_neg", order) == ([3], [1, 4, 2])
    assert choose("closest_only", order) == ([3], [3])
    assert choose("random_selection", order, (0.3, 0.9)) == ([1], [2])


@pytest.mark.parametrize("anchor", [0, 2])
@pytest.mark.parametrize("weighted", [True, False])
def test_the_loss_by_hand(anchor: int, weighted: bool) -> None:
    method, x = small(anchor, weighted=weighted), movements()
    seen = batch(x)
    others = [i for i in range(4) if i != anchor]
    far = dict(zip(others, distances(x, 4, anchor), strict=True))
    z = [F.normalize(method.projector(method.encoder(x[:, 2 * i : 2 * i + 2])), dim=1) for i in range(4)]
    nearest = min(others, key=lambda i: far[i])
    moved = {i: elsewhere(seen.uniform(f"device {i}", 1)[:, 0]) for i in others}
    losses = []
    for t in range(len(x)):
        positive = math.exp(float(z[anchor][t] @ z[nearest][t]) / 0.05)
        negative = sum(
            (1 / far[i] if weighted else 1) * math.exp(float(z[anchor][t] @ z[i][moved[i][t]]) / 0.05) for i in others
        )
        losses.append(-math.log(positive / (positive + negative)))
    step = method.loss(seen)
    assert float(step.loss) == pytest.approx(np.mean(losses), rel=1e-3)
    torch.testing.assert_close(step.h[0], method.encoder(x[:, 2 * anchor : 2 * anchor + 2]))


@pytest.mark.parametrize("policy", ["closest_pos_rest_neg", "hard_negative", "closest_only", "random_selection"])
def test_every_policy_teaches(policy: str) -> None:
    x = movements()
    x[0, :, 10:], x[1, 3] = torch.nan, torch.nan
    method = small(policy=policy)
    method.loss(batch(x)).loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in method.parameters())


def test_the_encoder_sees_the_anchor_alone() -> None:
    own = ColloSSL.encoder_form(FORM, devices=4, anchor=2)
    assert (own["channels"], own["names"], own["mean"], own["take"]) == (2, ["waist x", "waist y"], [4, 5], [4, 5])
    assert own["length"] == 16


def test_mistakes() -> None:
    with pytest.raises(UserError, match=r"cannot share 8 channel\(s\) among 3 devices"):
        ColloSSL.encoder_form(FORM, devices=3)
    with pytest.raises(UserError, match="devices 0 to 3"):
        ColloSSL.encoder_form(FORM, devices=4, anchor=4)
    with pytest.raises(UserError, match=r"unknown policy of collossl: 'closest_onyl': did you mean 'closest_only'"):
        small(policy="closest_onyl")
    with pytest.raises(UserError, match="hard_negative needs 3 devices or more, not 2"):
        ColloSSL(small().encoder, devices=2, policy="hard_negative")
    samples = Series(np.zeros((16, 6), np.float32), np.array([0]), np.array([16]), form.series(6, 16))
    with pytest.raises(UserError, match="expects 8 channels, 4 times the encoder's, and the data has 6"):
        small().prepare(samples)
