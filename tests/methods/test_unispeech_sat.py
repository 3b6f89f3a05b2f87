from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from tests.methods.kinds import samples
from tests.methods.speech import feed, of_units
from torch import Tensor
from torch.nn import functional as F

from ipse.methods.pretrain import unispeech_sat
from ipse.methods.pretrain.hubert import HuBERT
from ipse.methods.pretrain.unispeech_sat import UniSpeechSAT, spread
from ipse.training import Batch
from ipse.transforms import viewer

DATA = samples("audio")


def batch() -> Batch:
    return feed().batch(0)


def method(cls: type[HuBERT] = UniSpeechSAT, labelled: bool = True, **settings: Any) -> Any:
    return of_units(cls, labelled, **settings)


def test_without_its_mechanisms_it_is_hubert() -> None:
    plain, hubert = method(mixing=0.0, contrast=0.0), method(HuBERT)
    assert torch.equal(plain.loss(batch()).loss, hubert.loss(batch()).loss)


def views(louder: int = 1, **settings: Any) -> tuple[Tensor, Tensor]:
    """All recordings, four times each, and as the method sees them; those that are mixed in are so many times louder."""
    look = method(labelled=False, **settings).sees.looks[0]
    raw = DATA.read(np.arange(len(DATA)).repeat(4))
    raw["x"] //= louder
    clean = viewer(DATA.form).original(raw).x
    return clean, viewer(DATA.form, samples=DATA).view(raw, look, 0, torch.arange(len(clean))).x


@pytest.mark.parametrize("snr", [-5.0, 0.0, 5.0])
def test_what_is_mixed_in_is_as_loud_as_it_should_be(snr: float) -> None:
    """All of the other recording, scaled as its stretch is, has the power that was asked for; nothing moves in time."""
    clean, seen = views(8, mixing=1.0, mixing_snr=(snr, snr))
    whole = DATA.read(np.arange(len(DATA)))
    others = whole["x"] / 32768
    energy = F.pad(others.square().cumsum(dim=1), (1, 0))
    spectra = torch.fft.rfft(others, 2**14)
    power = energy[:, -1] / whole["length"]
    assert torch.equal(clean.isnan(), seen.isnan())
    ratios = []
    for wave, mixed in zip(clean, seen, strict=True):
        wave, mixed = wave[~wave.isnan()], mixed[~wave.isnan()]
        heard = (mixed - wave).nonzero()[:, 0]
        if len(heard) < 1000:  # too short to be told from others
            continue
        stretch = (mixed - wave)[heard[0] : heard[-1] + 1]
        assert len(stretch) <= len(wave) / 2
        there = (energy[:, len(stretch) :] - energy[:, : -len(stretch)]).clamp(min=1e-6)
        product = torch.fft.irfft(spectra * torch.fft.rfft(stretch, 2**14).conj())[:, : there.shape[1]]
        clip, place = divmod(int((product / there.sqrt()).argmax()), product.shape[1])
        scale = product[clip, place] / there[clip, place]
        ratios.append(10 * torch.log10(wave.square().mean() / (power[clip] * scale**2)))
    assert len(ratios) > 100
    assert ratios == pytest.approx([snr] * len(ratios), abs=0.01)


def test_some_are_mixed_and_most_are_not() -> None:
    clean, seen = views()
    mixed = ((clean != seen) & ~clean.isnan()).any(dim=1)
    assert 0.1 < float(mixed.float().mean()) < 0.3
    assert torch.equal(*(x.nan_to_num(2) for x in views(mixing=0.0)))


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
