"""NT-Xent-AM: the checks of its card."""

from __future__ import annotations

import math

import pytest
import torch
from tests.methods.kinds import samples
from tests.methods.speech import batch_for
from torch.nn import functional as F

from ipse import models
from ipse.losses.contrastive import nt_xent
from ipse.losses.margin import additive_margin_nt_xent
from ipse.losses.queue import queue_contrast
from ipse.methods.pretrain.nt_xent_am import NTXentAM
from ipse.training import Batch

OPTIONS = {"hidden": 32, "width": 16}


def small(**settings: object) -> NTXentAM:
    torch.manual_seed(0)
    encoder = models.create("mel_conv", samples("audio").form, widths=(8, 16), n_mels=16, dim=24)
    return NTXentAM(encoder, **OPTIONS, **settings)  # type: ignore[arg-type]


def swapped(batch: Batch) -> Batch:
    return Batch(batch.views[::-1], batch.index, batch.position, batch.seed, batch.step, batch.steps)


def test_without_a_margin_it_is_nt_xent() -> None:
    method = small(margin=0.0)
    step = method.loss(batch_for(method))
    torch.testing.assert_close(step.loss, nt_xent(*step.z, temperature=0.03))


def test_the_loss_rises_with_the_margin() -> None:
    batch = batch_for(small())
    losses = [float(small(margin=m).loss(batch).loss) for m in (0.0, 0.1, 0.2, 0.4)]
    assert losses == sorted(set(losses))
    same = torch.ones(4, 3)
    for loss, others in (
        (additive_margin_nt_xent(same, same, 0.2, 0.1), 6),
        (additive_margin_nt_xent(same, same, 0.2, 0.1, symmetric=False), 3),
        (queue_contrast(same, same, torch.ones(5, 3), 0.2, 0.1), 5),
    ):
        assert float(loss) == pytest.approx(math.log(1 + others * math.exp(0.1 / 0.2)), rel=1e-5)


def test_the_symmetric_loss_does_not_know_which_view_is_first() -> None:
    for settings in ({}, {"queue": 6}):
        method = small(**settings)
        if "queue" in settings:
            method.queues[1] = method.queues[0]
        batch = batch_for(method)
        torch.testing.assert_close(method.loss(swapped(batch)).loss, method.loss(batch).loss)
    method = small(symmetric=False)
    assert not torch.isclose(method.loss(swapped(batch)).loss, method.loss(batch).loss)


def test_a_larger_margin_pulls_harder() -> None:
    """The slope with the positive's cosine is (1 - p) / temperature."""
    negatives = F.normalize(torch.tensor([[0.3, 1.0, 0.2], [0.5, -1.0, 0.1]]), dim=1)
    q, k = torch.tensor([[1.0, 0.0, 0.0]]), F.normalize(torch.tensor([[1.0, 0.4, 0.0]]), dim=1)
    cosine = float(q[0] @ k[0])
    slopes = []
    for margin in (0.0, 0.1, 0.3):
        positive = math.exp((cosine - margin) / 0.2)
        p = positive / (positive + float(torch.exp(q @ negatives.T / 0.2).sum()))
        slopes.append((1 - p) / 0.2)
        step = 1e-3  # the positive moves in a plane that leaves the negatives' cosines alone
        ends = []
        for moved in (cosine + step, cosine - step):
            other = torch.tensor([[moved, math.sqrt(1 - moved**2), 0.0]], dtype=torch.float64)
            ends.append(float(queue_contrast(q.double(), other, negatives.double(), 0.2, margin)))
        assert (ends[1] - ends[0]) / (2 * step) == pytest.approx(slopes[-1], rel=1e-3)
    assert slopes == sorted(slopes)


def test_the_margin_rises_by_half_a_cosine() -> None:
    method, full = small(margin=0.2, margin_warmup=0.5), small(margin=0.2)
    none, half = small(margin=0.0), small(margin=0.1)
    for step, same in ((0, none), (25, half), (50, full), (80, full)):
        batch = batch_for(method, step, 100)
        torch.testing.assert_close(method.loss(batch).loss, same.loss(batch).loss)


def test_the_queue_holds_the_newest_keys_of_each_view() -> None:
    method = small(queue=12, decay=0.5)
    first, before = batch_for(method, 0), method.queues.clone()
    method.loss(first)
    keys = [F.normalize(method.teacher(x), dim=1) for x in first]
    method.after_step(first)
    for view in range(2):
        torch.testing.assert_close(method.queues[view], torch.cat([keys[view], before[view, :4]]))
    assert all(p.grad is None for p in method.teacher.parameters())
    assert "queues" in method.state_dict()
