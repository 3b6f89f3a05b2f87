"""The guard: streams that make adapters fail are noticed, said and answered by the unadapted model; those that help are let alone."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ipse import models, papers
from ipse.methods.adapt import Adapter, Guarded
from ipse.methods.adapt.guard import _order
from ipse.transforms.corruptions import corrupt

Digits = tuple[Tensor, Tensor]


def errors(guarded: Guarded, x: Tensor, y: Tensor, size: int = 64) -> tuple[float, float]:
    """The share of wrong answers of the guarded adapter and of the source."""
    answers, source = [], []
    for part in x.split(size):
        answers.append(guarded(part).argmax(1))
        assert guarded.last_source is not None
        source.append(guarded.last_source.argmax(1))
    return float((torch.cat(answers) != y).float().mean()), float((torch.cat(source) != y).float().mean())


def guard(model: nn.Module, key: str, **settings: Any) -> Guarded:
    return Guarded(papers.load(key, "adapt method")(model, **settings), model)


@pytest.mark.parametrize(
    ("key", "settings"), [("bn-adapt", {}), ("tent", {}), ("tent", {"lr": 0.1}), ("rpl-self-learning", {})]
)
def test_a_stream_of_one_class(classifier: models.Classifier, digits: Digits, key: str, settings: dict[str, Any]) -> None:
    x, y = (t[1000:] for t in digits)
    one = y == 3
    free = torch.cat([a(p) for a in [papers.load(key, "adapt method")(classifier, **settings)] for p in x[one].split(64)])
    assert (free.argmax(1) != 3).float().mean() > 0.3  # what would happen
    guarded = guard(classifier, key, **settings)
    own, source = errors(guarded, x[one], y[one])
    assert own <= source + guarded.margin
    assert "surer" in guarded.events[0].text


def test_a_sorted_stream(classifier: models.Classifier, digits: Digits) -> None:
    x, y = (t[1000:] for t in digits)
    order = y.argsort(stable=True)
    guarded = guard(classifier, "tent")
    own, source = errors(guarded, x[order], y[order])
    assert own <= source + guarded.margin
    assert guarded.events


def test_a_huge_learning_rate(classifier: models.Classifier, digits: Digits) -> None:
    x, y = (t[1000:1600] for t in digits)
    guarded = guard(classifier, "tent", lr=3.0)
    own, source = errors(guarded, x, y)
    assert own <= source + guarded.margin
    assert any("weights" in event.text or "names" in event.text for event in guarded.events)


def test_batches_of_one_sample(classifier: models.Classifier, digits: Digits) -> None:
    x, y = (t[1000:1200] for t in digits)
    guarded = guard(classifier, "tent")
    own, source = errors(guarded, x, y, size=1)
    assert own <= source + guarded.margin
    assert guarded.events


@pytest.mark.parametrize("kind", ["contrast", "fog", "brightness"])
def test_adapters_that_help_are_let_alone(classifier: models.Classifier, digits: Digits, kind: str) -> None:
    x, y = (t[1000:1512] for t in digits)
    guarded = guard(classifier, "tent")
    own, source = errors(guarded, corrupt(x, kind, 5), y)
    assert own < source - 0.05
    assert not guarded.events


def test_nan_in_the_batch_is_named_and_kept_from_the_adapter(classifier: models.Classifier, digits: Digits) -> None:
    x = digits[0][1000:1064].clone()
    x[5, 0, 2, 2] = torch.nan
    guarded, clean = guard(classifier, "tent"), guard(classifier, "tent")
    logits = guarded(x)
    assert guarded.unreadable == [5]
    assert logits[5].abs().sum() == 0
    others = torch.arange(64) != 5
    assert torch.equal(logits[others], clean(x[others]))
    assert guarded(x[[5, 5]]).abs().sum() == 0
    assert guarded.unreadable == [5, 64, 65]


def test_weights_that_are_no_numbers(classifier: models.Classifier, digits: Digits) -> None:
    guarded = guard(classifier, "tent", lr=float("inf"))
    for part in digits[0][1000:1256].split(64):
        assert guarded(part).isfinite().all()
    assert "no numbers" in guarded.events[0].text


def test_the_pauses_double_and_a_calm_stretch_forgives(classifier: models.Classifier, digits: Digits) -> None:
    guarded = guard(classifier, "tent", lr=float("inf"))
    x = digits[0][1000:1064]
    for _ in range(40):
        guarded(x)
    failed = [event.sample // 64 for event in guarded.events]
    assert [b - a for a, b in itertools.pairwise(failed)] == [5, 9, 17]  # pauses of 4, 8, 16 batches, and one to fail again
    calm = guard(classifier, "source")
    calm.counts[1] = 3
    for _ in range(18):
        calm(x)
    assert int(calm.counts[1]) == 0


def test_order() -> None:
    assert _order(torch.arange(256) % 10) == pytest.approx(0, abs=0.1)
    assert _order(torch.arange(256) // 64) == pytest.approx(
        0.693, abs=0.05
    )  # four classes one after the other: two in each half
    assert _order(torch.arange(240) // 80) == pytest.approx(2 / 3 * 0.693, abs=0.1)
    for change in (64, 100, 128, 200):  # from one corruption to another, under which fewer classes are named
        named = torch.cat([torch.arange(change) % 10, torch.arange(256 - change) % 2])
        assert _order(named) < 0.1


def test_a_change_of_the_corruption_is_not_taken_for_order(classifier: models.Classifier, digits: Digits) -> None:
    x, y = (t[1000:1300] for t in digits)
    changes = torch.cat([corrupt(x, kind, 5) for kind in ("contrast", "gaussian_noise", "fog")])
    guarded = guard(classifier, "tent")
    errors(guarded, changes, y.repeat(3))
    assert not [event for event in guarded.events if "sorted" in event.text]


class Breaks(Adapter):
    """Answers with a constant after a while."""

    def adapt(self, x: Tensor) -> Tensor:
        logits = self.predict(x)
        return logits if self.seen < 128 else torch.eye(10)[torch.zeros(len(x), dtype=torch.int64)] * 9


def test_a_collapse_to_one_class(classifier: models.Classifier, digits: Digits) -> None:
    guarded = Guarded(Breaks(classifier), classifier)
    x, y = (t[1000:1640] for t in digits)
    own, source = errors(guarded, x, y)
    assert own <= source + guarded.margin + 64 * 2 / 640
    assert guarded.events


def test_without_the_guard_the_adapter_answers(classifier: models.Classifier, digits: Digits) -> None:
    x = digits[0][1000:1064]
    tent = papers.load("tent", "adapt method")
    assert torch.equal(Guarded(tent(classifier), classifier, active=False)(x[:4]), tent(classifier)(x[:4]))
