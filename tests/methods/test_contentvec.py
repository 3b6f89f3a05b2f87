from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tests.methods.speech import feed, of_units
from torch import Tensor

from ipse.methods.pretrain.contentvec import ContentVec
from ipse.methods.pretrain.hubert import HuBERT
from ipse.training import Batch

PLAIN: dict[str, Any] = {"formants": 1.0, "pitch": 1.0, "liveliness": 1.0, "equaliser": 0.0}


def batch(step: int = 0, steps: int = 1) -> Batch:
    return feed().batch(step, steps)


def method(cls: type[HuBERT] = ContentVec, labelled: bool = True, **settings: Any) -> Any:
    return of_units(cls, labelled, **settings)


def test_without_its_mechanisms_it_is_hubert_of_two_copies() -> None:
    plain = method(relevance=None, contrast=0.0, predictor=0, **PLAIN)
    hubert = method(HuBERT)
    assert torch.equal(plain.units, hubert.units)
    assert {n for n, _ in plain.named_parameters()} == {n for n, _ in hubert.named_parameters()}
    torch.testing.assert_close(plain.loss(batch()).loss, hubert.loss(batch()).loss, rtol=1e-3, atol=1e-4)


def test_equal_voices_are_found_at_cosine_1() -> None:
    made = method(**PLAIN)
    made.voice = lambda x, u: x
    seen: list[Tensor] = []
    made.contrast_head.register_forward_hook(lambda module, inputs, output: seen.append(output))
    step = made.loss(batch())
    y1, y2 = torch.nn.functional.normalize(seen[0], dim=2).chunk(2)
    torch.testing.assert_close((y1 * y2).sum(dim=2), torch.ones(y1.shape[:2]))
    # No negative is nearer than the positive.
    assert step.terms["contrast"] <= math.log(1 + made.negatives) + 1e-4


def test_representations_do_not_depend_on_the_speaker() -> None:
    made = method()
    for block in made.predictor:
        torch.nn.init.normal_(block.norm1.gain.weight)
    one = made.loss(batch())
    made.spoken_by = lambda x: torch.ones(len(x), 2 * made.mel.n_mels)
    two = made.loss(batch())
    assert all(torch.equal(a, b) for a, b in zip(one.h, two.h, strict=True))
    assert not torch.equal(one.terms["units"], two.terms["units"])


def test_voices_keep_length_loudness_and_the_end() -> None:
    made = method(labelled=False)
    (x,) = batch()
    y = made.voice(x, torch.rand(len(x), 26, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(y.isnan(), x.isnan())
    torch.testing.assert_close(y.nan_to_num().square().sum(dim=1), x.nan_to_num().square().sum(dim=1), rtol=1e-3, atol=1e-4)
    assert not torch.allclose(y.nan_to_num(), x.nan_to_num(), atol=0.05)


def test_both_voices_differ_and_hide_the_same_frames() -> None:
    made = method()
    heard: list[Any] = []
    usual = made.heard
    made.heard = lambda x, u: heard.append((x, usual(x, u))) or heard[-1][1]
    made.loss(batch())
    voices, both = heard[0]
    one, two = voices.nan_to_num().chunk(2)
    assert not torch.allclose(one, two, atol=0.05)
    assert torch.equal(*both.mask.chunk(2))


@pytest.mark.parametrize("rounds_done", [0, 1])
def test_the_weight_of_the_contrast_grows_over_each_round(rounds_done: int) -> None:
    made = method()
    for share in (0.0, 0.2, 0.4):
        step = made.loss(batch(int(10 * (share + rounds_done) / 2), 10))
        rest = step.terms["units"] + 10 * step.terms["features"]
        torch.testing.assert_close(step.loss, rest + share * step.terms["contrast"])


def test_speakers_are_brought_to_mean_0_and_deviation_1_before_clustering() -> None:
    made = method(labelled=False)
    pieces = list(feed().everything())
    made._speakers = made._speaker_statistics(0, feed(), 1e-6)
    for group in (0, 5):
        frames = torch.cat(
            [h[valid & (made.group[i] == group)[:, None]] for i, x in pieces for h, valid in [made.described(0, i, x)]]
        )
        torch.testing.assert_close(frames.mean(dim=0), torch.zeros(39), atol=1e-3, rtol=0)
        torch.testing.assert_close(frames.std(dim=0, correction=0), torch.ones(39), atol=1e-2, rtol=0)


def test_a_speaker_of_whom_little_is_known_is_the_average_one() -> None:
    made = method(labelled=False)
    mean, deviation = made._speaker_statistics(0, feed(), 1e9)
    torch.testing.assert_close(mean, mean[:1].expand_as(mean), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(deviation, deviation[:1].expand_as(deviation), atol=1e-3, rtol=1e-3)


def test_the_second_round() -> None:
    made = method()
    units = made.units.clone()
    made.before_round(1, feed())
    assert not torch.equal(made.units, units)
    assert made.loss(batch()).loss.isfinite()
