from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tests.methods.kinds import ENCODERS, samples

from ipse import models
from ipse.errors import UserError
from ipse.methods.pretrain.hubert import HuBERT
from ipse.metrics.units import phone_purity, pnmi
from ipse.training import Feed
from ipse.transforms import viewer

DATA = samples("audio")


def feed(batch: int = 12) -> Feed:
    return Feed(DATA, HuBERT.sees, viewer(DATA.form), batch, 0)


def method(encoder: str = "mel_transformer", labelled: bool = True, **settings: Any) -> HuBERT:
    torch.manual_seed(0)
    settings = {"clusters": (8, 12), "width": 16} | settings
    made = HuBERT(models.create(encoder, DATA.form, **ENCODERS[encoder]), **settings)
    made.prepare(DATA)
    if labelled:
        made.before_round(0, feed())
    return made


def test_codewords_that_cannot_be_told_apart_give_the_logarithm_of_their_number() -> None:
    made = method(penalty=0.0)
    torch.nn.init.ones_(made.codewords)
    assert made.loss(feed().batch(0)).loss.item() == pytest.approx(math.log(8), abs=1e-4)


def test_only_labels_of_hidden_frames_count() -> None:
    made, batch = method(), feed().batch(0)
    (x,) = batch
    mask = made.heard(x, batch.uniform("mask", made.units.shape[1])).mask
    before = made.loss(batch).loss
    labels = made.units[batch.index]
    seen = ~mask & (labels >= 0)
    assert seen.any()
    made.units[batch.index] = torch.where(seen, (labels + 3) % 8, labels)
    assert torch.equal(made.loss(batch).loss, before)
    made.units[batch.index] = torch.where(mask, (labels + 3) % 8, labels)
    assert not torch.equal(made.loss(batch).loss, before)
    made.alpha = 0.5
    half = made.loss(batch).loss
    made.units[batch.index] = labels
    assert not torch.equal(made.loss(batch).loss, half)


def test_units_that_are_the_phones() -> None:
    units = method().units.long()
    assert pnmi(units, units + 3 * (units >= 0)) == pytest.approx(1.0)
    assert phone_purity(torch.arange(9), torch.arange(9) % 2) == 1.0


@pytest.mark.parametrize("encoder", ["mel_transformer", "wave_transformer"])
def test_a_unit_for_each_frame_of_sound(encoder: str) -> None:
    made = method(encoder)
    assert made.units.shape == (len(DATA), (8000 - 400) // 320 + 1)
    raw = DATA.read(range(len(DATA)))
    count = ((raw["length"] - 400) // 320 + 1).tolist()
    assert [int((row >= 0).sum()) for row in made.units] == count
    assert all((row[:n] >= 0).all() for row, n in zip(made.units, count, strict=True))
    assert set(made.units.unique().tolist()) <= set(range(-1, 8))


def test_units_are_the_same_every_time_and_kept_with_the_state() -> None:
    one, two = method(), method()
    assert torch.equal(one.units, two.units)
    empty = method(labelled=False)
    empty.load_state_dict(one.state_dict())
    assert torch.equal(empty.units, one.units)
    assert empty.loss(feed().batch(0)).loss == one.loss(feed().batch(0)).loss


def test_the_second_round_finds_other_units_and_begins_anew() -> None:
    made = method()
    start = [p.detach().clone() for p in made.parameters()]
    optimizer = torch.optim.Adam(made.parameters(), lr=1e-2)
    made.loss(feed().batch(0)).loss.backward()
    optimizer.step()
    units, learned = made.units.clone(), [p.detach().clone() for p in made.parameters()]
    states = made.encoder.layers(next(iter(feed().everything()))[1])
    made.before_round(1, feed())
    assert made.rounds == 2
    assert len(states) == 3  # of which the one in the middle was clustered
    assert int(made.used) == 12
    assert not torch.equal(made.units, units)
    assert all(torch.equal(p, s) for p, s in zip(made.parameters(), start, strict=True))
    assert not all(torch.equal(p, s) for p, s in zip(learned, start, strict=True))
    assert made.training


def test_no_unit_has_less_than_20_frames_to_be_found_by() -> None:
    made = method(clusters=(1000,))
    assert int(made.used) == int((made.units >= 0).sum()) // 20


def test_without_units_only_the_features_count() -> None:
    made = method(labelled=False)
    step = made.loss(feed().batch(0))
    step.loss.backward()
    torch.testing.assert_close(step.loss, 10 * step.terms["features"])
    assert all(p.grad is not None and p.grad.isfinite().all() for p in made.parameters())


def test_the_front_end_gets_a_tenth_of_the_gradient() -> None:
    gradients = []
    for share in (1.0, 0.1):
        made = method("wave_transformer", feature_gradient=share)
        made.loss(feed().batch(0)).loss.backward()
        gradients.append((made.encoder.convolutions[2].weight.grad, made.encoder.project.weight.grad))
    torch.testing.assert_close(gradients[1][0], 0.1 * gradients[0][0], rtol=1e-3, atol=1e-7)
    torch.testing.assert_close(gradients[1][1], gradients[0][1])


def test_hidden_frames_are_not_heard() -> None:
    made, batch = method(masked=20.0), feed().batch(0)
    (x,) = batch
    heard = made.heard(x, batch.uniform("mask", made.units.shape[1]))
    everything = heard.mask.sum(dim=1) == heard.valid.sum(dim=1)
    louder = made.heard(x * 0.3, batch.uniform("mask", made.units.shape[1]))
    assert everything.any()
    torch.testing.assert_close(louder.states[-1][everything], heard.states[-1][everything])


def test_encoders_without_frames() -> None:
    with pytest.raises(UserError, match="encoder 'mel_conv' has none: take mel_transformer"):
        method("mel_conv")
