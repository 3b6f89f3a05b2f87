"""SUPERB in small: its card's checks, and tasks whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ipse.data import Samples, open_data
from ipse.errors import UserError
from ipse.metrics.layers import FilterBank, WeightedSum, pooled, states
from ipse.metrics.recognition import equal_error_rate, superb_score
from ipse.metrics.spoken_terms import spoken_terms, term_weighted_value
from ipse.metrics.superb import classify, superb, transcribe, verify
from ipse.models import create
from ipse.models.speech import FrameEncoder, MelTransformer

TONES = (300.0, 900.0, 2700.0)


def tones(n: int, seed: int, noise: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Clips of half a second of one of three tones, some shorter, in noise."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    x = np.stack([np.sin(2 * np.pi * TONES[i] * np.arange(8000) / 16_000 + rng.uniform(0, 6)) / 3 for i in y])
    x += rng.normal(0, noise, x.shape)
    x[::4, 6000:] = np.nan
    return x.astype(np.float32), y


def opened(x: np.ndarray, y: np.ndarray) -> Samples:
    return open_data(x, modality="audio", size=0.5).train.relabelled(y.astype(np.int64))


@pytest.fixture(scope="module")
def parts() -> tuple[Samples, Samples]:
    return opened(*tones(36, 0)), opened(*tones(24, 1))


@pytest.fixture(scope="module")
def encoder(parts: tuple[Samples, Samples]) -> MelTransformer:
    torch.manual_seed(0)
    return MelTransformer(parts[0].form, n_mels=20, width=16, depth=2, heads=2)


class TwoLayers(FrameEncoder):
    """Noise in the first layer, filter banks in the second."""

    name = "two_layers"

    def __init__(self, bank: FilterBank):
        super().__init__()
        self.form, self.dim, self.stride, self.bank = bank.form, bank.dim, bank.stride, bank

    def layers(self, x: Tensor) -> list[Tensor]:
        frames = self.bank.dense(x)
        return [torch.randn(frames.shape, generator=torch.Generator().manual_seed(len(x))), frames]

    def dense(self, x: Tensor) -> Tensor:
        return self.layers(x)[-1]


def test_equal_weights_are_the_mean_and_a_large_one_selects() -> None:
    layers, total = torch.randn(2, 5, 3, 4), WeightedSum(3)
    torch.testing.assert_close(total(layers), layers.mean(dim=2))
    with torch.no_grad():
        total.w[1] = 50.0
    torch.testing.assert_close(total(layers), layers[:, :, 1])


def test_equal_error_rates_of_scores_that_say_all_and_nothing() -> None:
    same = torch.arange(4000) % 2 == 0
    scores = torch.rand(4000, generator=torch.Generator().manual_seed(0))
    assert equal_error_rate(same.float() + 0.5 * scores, same) == 0.0
    assert equal_error_rate(scores, same) == pytest.approx(0.5, abs=0.03)
    assert equal_error_rate(scores.exp() - 7, same) == equal_error_rate(scores, same)


def test_the_score_is_0_for_filter_banks_and_1000_for_the_best() -> None:
    low, high = {"a": {"error": 20.0}, "b": {"accuracy": 50.0}}, {"a": {"error": 5.0}, "b": {"accuracy": 90.0}}
    assert superb_score(low, low, high) == 0
    assert superb_score(high, low, high) == 1000


def test_the_mean_over_time_commutes_with_the_sum_of_layers(parts: tuple[Samples, Samples], encoder: MelTransformer) -> None:
    total = WeightedSum(3)
    with torch.no_grad():
        total.w.copy_(torch.tensor([0.3, -1.0, 2.0]))
    part = parts[0].subset(np.arange(8))
    frames = [(total(layers), valid) for layers, valid in states(encoder, part, batch_size=3)]
    means = [clip[inside].mean(dim=0) for x, valid in frames for clip, inside in zip(x, valid, strict=True)]
    torch.testing.assert_close(total(pooled(encoder, part)), torch.stack(means))


def test_layers_are_of_one_scale(parts: tuple[Samples, Samples], encoder: MelTransformer) -> None:
    layers, valid = next(states(encoder, parts[0]))
    assert layers.shape[2:] == (3, 16)
    torch.testing.assert_close(layers[valid].square().mean(dim=-1), torch.ones(int(valid.sum()), 3), atol=0.02, rtol=0)


def test_tones_are_told_apart_and_the_encoder_stays_as_it_was(parts: tuple[Samples, Samples], encoder: MelTransformer) -> None:
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    probe = classify(encoder.train(), *parts, steps=40)
    assert probe.score > 0.9
    assert probe.weights.shape == (3,)
    assert float(probe.weights.sum()) == pytest.approx(1.0)
    assert encoder.training
    assert all(p.grad is None for p in encoder.parameters())
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    again = classify(encoder, *parts, steps=40)
    assert again.score == probe.score
    assert torch.equal(again.weights, probe.weights)


def test_the_layer_that_knows_gets_the_weight(parts: tuple[Samples, Samples]) -> None:
    probe = classify(TwoLayers(FilterBank(parts[0].form, 20)), *parts)
    assert probe.score == 1.0
    assert probe.weights[1] > 0.6


def test_the_same_tone_is_verified(parts: tuple[Samples, Samples]) -> None:
    assert verify(FilterBank(parts[0].form), parts[1]) < 0.05
    rng = np.random.default_rng(0)
    assert verify(FilterBank(parts[0].form), parts[1].relabelled(rng.permutation(parts[1].y))) > 0.3


def test_samples_without_a_label_take_no_part(parts: tuple[Samples, Samples], encoder: MelTransformer) -> None:
    train, test = parts
    some = np.where(np.arange(36) < 24, train.y, -1)
    probes = [classify(encoder, part, test, steps=20) for part in (train.relabelled(some), train.subset(np.arange(24)))]
    assert probes[0].score == probes[1].score
    with pytest.raises(UserError, match="at least two classes"):
        classify(encoder, train.relabelled(np.zeros(36, np.int64)), test)
    with pytest.raises(UserError, match="needs labels"):
        classify(encoder, train.relabelled(np.full(36, -1)), test)


def sequences(n: int, seed: int, shortest: int = 2) -> tuple[Samples, list[str]]:
    """Clips of up to three tones one after the other, and what they spell."""
    rng = np.random.default_rng(seed)
    x, texts = np.full((n, 8000), np.nan, np.float32), []
    for row in x:
        text = rng.permutation(3)[: rng.integers(shortest, 4)]
        for i, tone in enumerate(text):
            row[2600 * i : 2600 * (i + 1)] = np.sin(2 * np.pi * TONES[tone] * np.arange(2600) / 16_000) / 3
        row += rng.normal(0, 0.02, 8000).astype(np.float32)
        texts.append("".join("abc"[tone] for tone in text))
    return opened(x, np.zeros(n)), texts


def test_tones_are_spelled() -> None:
    (train, train_text), (test, test_text) = sequences(40, 0), sequences(20, 1)
    bank = FilterBank(train.form, 20)
    probe = transcribe(bank, train, test, train_text, test_text, steps=80)
    assert probe.score < 0.2
    assert transcribe(bank, train, test, train_text, test_text, steps=1).score > 0.5
    with pytest.raises(UserError, match="40 and 19 for 40 and 20"):
        transcribe(bank, train, test, train_text, test_text[1:])


def test_spoken_terms_are_found() -> None:
    words, text = sequences(40, 0, shortest=3)
    words = words.relabelled(np.unique(text, return_inverse=True)[1].astype(np.int64))
    layers = TwoLayers(FilterBank(words.form, 20))
    noise, bank = spoken_terms(layers, words, queries=4, documents=12)
    assert bank > 0.9
    assert noise < 0.6
    assert spoken_terms(layers, words, [1], queries=4, documents=12) == [bank]
    with pytest.raises(UserError, match="at least two samples"):
        spoken_terms(layers, words.relabelled(np.arange(40)))


def test_term_weighted_values_by_hand() -> None:
    scores = torch.tensor([[3.0, 2.0, 1.0, 0.0], [3.0, 2.5, 1.0, 0.0]])
    relevant = torch.tensor([[True, False, True, False], [True, True, False, False]])
    # From 2.5 on: the first query finds one of two, the second both; nothing falsely. Lower down false finds cost too much.
    assert term_weighted_value(scores, relevant) == pytest.approx(0.75)
    assert term_weighted_value(scores, relevant, beta=0.0) == pytest.approx(1.0)
    assert term_weighted_value(-scores, relevant) == 0.0


def test_all_tasks_and_one_number(
    parts: tuple[Samples, Samples], encoder: MelTransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipse.metrics.superb._STEPS", 5)
    train, test = (part.subset(np.arange(24)) for part in parts)
    numbers = superb(encoder, train, test, ("low", "mid", "high"))
    assert list(numbers) == ["classify", "verify", "transcribe", "spoken-terms", "superb"]
    assert all(np.isfinite(value) for value in numbers.values())
    assert "transcribe" not in superb(encoder, train, test, tasks=["verify", "transcribe"])
    assert superb(FilterBank(train.form), train, test, tasks=["verify"])["superb"] == 0
    with pytest.raises(UserError, match="task of superb"):
        superb(encoder, train, test, tasks=["wer"])
    pictures = create("small_conv", {"modality": "image", "channels": 3, "size": 16})
    with pytest.raises(UserError, match="small_conv"):
        superb(pictures, train, test)
