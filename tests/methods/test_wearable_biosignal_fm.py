"""Foundation models of wearable biosignals: the checks of the card."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ipse.data import form
from ipse.data.series import Series
from ipse.losses.contrastive import info_nce
from ipse.losses.spread import koleo
from ipse.methods.pretrain.wearable_biosignal_fm import WearableBiosignalFM
from ipse.models.dilated_conv import DilatedConv
from ipse.training import Feed
from ipse.transforms.series import SeriesPolicy, SeriesViewer

FORM = form.series(4, 24)


def people(n: int = 10, each: int = 3) -> Series:
    x = np.random.default_rng(0).normal(size=(n * each * 24, 4)).astype(np.float32)
    count = n * each
    return Series(x, np.arange(count) * 24, np.full(count, 24), FORM, group=np.repeat(np.arange(n), each))


def small(**settings: object) -> WearableBiosignalFM:
    torch.manual_seed(0)
    return WearableBiosignalFM(DilatedConv(FORM, dim=16, hidden=16, depth=2), **{"hidden": 16, "width": 8, **settings})


def feed(samples: Series, batch: int = 8) -> Feed:
    return Feed(samples, WearableBiosignalFM.sees, SeriesViewer(SeriesPolicy()), batch, 0)


def test_with_the_student_as_teacher_and_no_spread_it_is_symmetric_info_nce() -> None:
    method = small(spread=0.0, decay=0.0)
    batch = feed(people()).batch(0)
    with torch.no_grad():
        method.encoder.input.weight.add_(0.1)
    method.after_step(batch)
    z1, z2 = (method.projector(method.encoder(x)) for x in batch)
    expected = (info_nce(z1, z2, 0.04) + info_nce(z2, z1, 0.04)) / 2
    torch.testing.assert_close(method.loss(batch).loss, expected)


def test_the_spread_is_added_with_its_weight() -> None:
    batch = feed(people()).batch(0)
    step = small(spread=0.3).loss(batch)
    torch.testing.assert_close(step.loss, step.terms["contrast"] + 0.3 * step.terms["koleo"])
    torch.testing.assert_close(step.terms["koleo"], (koleo(step.z[0]) + koleo(step.z[1])) / 2)


def test_koleo_of_equally_spaced_points_and_of_points_that_meet() -> None:
    angle = 2 * math.pi * torch.arange(7) / 7
    circle = torch.stack([angle.cos(), angle.sin()], dim=1)
    assert float(koleo(circle)) == pytest.approx(-math.log(2 * math.sin(math.pi / 7)), rel=1e-5)
    near = [float(koleo(torch.tensor([[1.0, 0.0], [1.0, gap]]))) for gap in (0.1, 0.01, 0.001)]
    assert near == sorted(near)


def test_embeddings_that_are_all_equal_cost_the_logarithm_of_their_number() -> None:
    for temperature in (0.04, 1.0):
        assert float(info_nce(torch.ones(8, 4), torch.ones(8, 4), temperature)) == pytest.approx(math.log(8), rel=1e-5)


def test_a_batch_holds_two_recordings_of_each_of_different_people() -> None:
    samples = people()
    where = feed(samples)
    assert samples.group is not None
    for step in range(5):
        first, second = where.indices(where.positions(step))
        whose = samples.group[first.numpy()]
        assert len(set(whose.tolist())) == len(whose) or step * 8 % 10 + 8 > 10  # the end of an epoch is inside of this batch
        assert np.array_equal(whose, samples.group[second.numpy()])
        assert bool((first != second).all())


def test_the_views_are_the_cascade_for_pulse_waves() -> None:
    policy = SeriesPolicy().of(WearableBiosignalFM.sees.looks[0])
    fired = {n: getattr(policy, n) for n in ("cutout", "magnitude_warp", "noise", "channel_permutation", "time_warp")}
    assert fired == {"cutout": 0.4, "magnitude_warp": 0.25, "noise": 0.25, "channel_permutation": 0.25, "time_warp": 0.15}
    silent = ("permutation", "scaling", "frequency_noise", "flip", "dropout")
    assert not any(getattr(policy, name) for name in silent)
    assert policy.crop == (1.0, 1.0)


def test_the_teacher_follows_and_gets_no_gradient() -> None:
    method, batch = small(decay=0.9), feed(people()).batch(0)
    method.loss(batch).loss.backward()
    assert all(p.grad is None for p in method.teacher.parameters())
    before = method.projector[0].weight.detach().clone()
    with torch.no_grad():
        method.projector[0].weight.add_(1.0)
    method.after_step(batch)
    torch.testing.assert_close(method.teacher.teacher[1][0].weight, before + 0.1)
