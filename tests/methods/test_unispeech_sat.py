from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tests.methods.kinds import ENCODERS, samples
from torch import Tensor

from ipse import models
from ipse.methods.pretrain import unispeech_sat
from ipse.methods.pretrain.hubert import HuBERT
from ipse.methods.pretrain.unispeech_sat import UniSpeechSAT, spread
from ipse.training import Batch, Feed
from ipse.transforms import viewer

DATA = samples("audio")


def feed(batch: int = 8) -> Feed:
    return Feed(DATA, HuBERT.sees, viewer(DATA.form), batch, 0)


def batch() -> Batch:
    return feed().batch(0)


def method(cls: type[HuBERT] = UniSpeechSAT, labelled: bool = True, **settings: Any) -> Any:
    torch.manual_seed(0)
    encoder = models.create("mel_transformer", DATA.form, **ENCODERS["mel_transformer"])
    made = cls(encoder, clusters=(8, 12), width=16, **settings)
    made.prepare(DATA)
    if labelled:
        made.before_round(0, feed())
    return made


def test_without_its_mechanisms_it_is_hubert() -> None:
    plain, hubert = method(mixing=0.0, contrast=0.0), method(HuBERT)
    assert torch.equal(plain.loss(batch()).loss, hubert.loss(batch()).loss)


@pytest.mark.parametrize("snr", [-5.0, 0.0, 5.0])
def test_what_is_mixed_in_is_as_loud_as_it_should_be(snr: float) -> None:
    made = method(labelled=False, mixing=1.0, mixing_snr=(snr, snr))
    (x,) = batch()
    u = torch.rand(len(x), 6, generator=torch.Generator().manual_seed(0))
    added = made.mixed(x, u) - x
    clip = (u[:, 1] * len(made.bank)).long()
    for i, (wave, part) in enumerate(zip(x, added, strict=True)):
        length = int((~wave.isnan()).sum())
        heard = part[:length].abs() > 0
        first, last = heard.nonzero()[[0, -1], 0].tolist()
        assert last - first < length / 2
        assert torch.equal(part.isnan(), wave.isnan())
        # The whole of the other recording, scaled as its stretch is.
        other = made.bank[clip[i], : made.bank_length[clip[i]]].float()
        n = min(int(u[i, 2].double() * (length // 2 + 1)), len(other))
        start = int(u[i, 3].double() * (len(other) - n + 1)) + first - int(u[i, 4].double() * (length - n + 1))
        scale = part[first : last + 1].norm() / other[start : start + last + 1 - first].norm()
        power = (scale * other).square().mean()
        assert 10 * math.log10(wave[:length].square().mean() / power) == pytest.approx(snr, abs=0.01)


def test_some_are_mixed_and_most_are_not() -> None:
    made = method(labelled=False)
    u = torch.rand(48, 6, generator=torch.Generator().manual_seed(0))
    x = torch.cat([x for _, x in feed().everything()])
    mixed = (made.mixed(x, u) != x) & ~x.isnan()
    assert torch.equal(mixed.any(dim=1), u[:, 0] < 0.2)


def test_cosines_of_0_give_log_2() -> None:
    made = method()
    for head, place in ((made.contrast_head, 0), (made.target_head, 1)):
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
        head.bias.data[place] = 1.0
    assert made.loss(batch()).terms["contrast"].item() == pytest.approx(math.log(2), abs=1e-6)


def test_how_many_instances_are_of_the_own_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Tensor, Tensor]] = []
    usual = unispeech_sat.same_utterance
    monkeypatch.setattr(
        unispeech_sat, "same_utterance", lambda a, y, index, own: seen.append((index, own)) or usual(a, y, index, own)
    )
    method().loss(batch())
    index, own = seen[0]
    m = len(index) // 8
    assert index.shape == own.shape == (8 * 12, 100)
    assert torch.equal(own, index // m == torch.arange(8).repeat_interleave(m)[:, None])
    assert (1 + own.sum(dim=1)).float().mean() / 101 == pytest.approx((1 + 100 / 8) / 101, rel=0.05)


def test_frames_are_spread_over_the_hidden_ones() -> None:
    mask = torch.zeros(2, 10).bool()
    mask[0, ::2], mask[1, 7] = True, True
    assert spread(mask, 3).tolist() == [[0, 2, 6], [7, 7, 7]]
    assert spread(mask, 10)[0].tolist() == [0, 0, 2, 2, 4, 4, 6, 6, 8, 8]


def test_the_loss_is_the_sum_of_its_parts() -> None:
    step = method(contrast=0.5).loss(batch())
    terms = step.terms
    expected = terms["units"] + 10 * terms["features"] + 0.5 * terms["contrast"] + 0.1 * terms["diversity"]
    torch.testing.assert_close(step.loss, expected)
