"""Teachers of the future, against equations and against a mean teacher written out."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from tests.methods.selftrain.small import Linear, batch_of, built, feed_for, rows
from torch.nn import functional as F

from ipse.errors import UserError
from ipse.methods.selftrain.future import FutureSelfTraining
from ipse.methods.selftrain.mixing import patched
from ipse.training import Step, virtually


def linear(**settings: Any) -> Any:
    torch.manual_seed(0)
    return FutureSelfTraining(Linear(), **{"threshold": 0.0, **settings})  # type: ignore[arg-type]


X = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
Y = torch.tensor([0, 1, -1, -1, -1, 1])
RATE, DECAY = 0.1, 0.8


class Quadratic(FutureSelfTraining):
    """Learns as it does, but from squares: L = |W - target|^2 / 2, of which the gradient is W - target."""

    def loss(self, batch: Any) -> Step:
        return Step((self.model.weight - 2.0).square().sum() / 2)  # type: ignore[operator, union-attr]


@pytest.mark.parametrize(("variant", "ahead"), [("fst", 1), ("deep", 0), ("deep", 3), ("wide", 2)])
def test_the_teacher_follows_the_future_as_the_equations_say(variant: str, ahead: int) -> None:
    method = Quadratic(Linear(), variant=variant, ahead=ahead, decay=DECAY)  # type: ignore[arg-type]
    with torch.no_grad():
        method.teacher.teacher.weight.add_(0.3)
    theta, phi = method.model.weight.detach().clone(), method.teacher.teacher.weight.clone()
    batch = batch_of(X, Y)
    batch.more = [batch] * ahead
    optimizer = torch.optim.SGD(method.model.parameters(), lr=RATE)

    future = theta
    if variant == "deep":
        for _ in range(ahead):
            phi = DECAY * phi + (1 - DECAY) * future
            future = future - RATE * (future - 2)
    else:
        future = theta - RATE * (theta - 2)
    phi = DECAY * phi + (1 - DECAY) * future

    method.update(batch, [optimizer])
    torch.testing.assert_close(method.model.weight.detach(), theta, rtol=0, atol=0)
    torch.testing.assert_close(method.teacher.teacher.weight, phi)
    optimizer.step()
    torch.testing.assert_close(method.model.weight.detach(), theta - RATE * (theta - 2))


def mean_teacher(model: Linear, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Self-training with a mean teacher, written out: weights of the student and of the teacher."""
    teacher = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    for t in range(steps):
        decay = min(DECAY, 1 - 1 / (t + 1))
        with torch.no_grad():
            teacher.weight.lerp_(model.weight, 1 - decay)
            guess = teacher(X).argmax(1)
        scores = model(X)
        has = Y >= 0
        loss = F.cross_entropy(scores[has], Y[has]) + F.cross_entropy(scores[~has], guess[~has])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.weight.detach(), teacher.weight.detach()


@pytest.mark.parametrize("words", [{"ahead": 0}, {"variant": "fst", "look": 0.0}, {"ahead": 0, "look": 0.0}])
def test_without_a_future_it_is_the_mean_teacher(words: dict[str, Any]) -> None:
    method = linear(decay=DECAY, **words)
    expected = mean_teacher(copy.deepcopy(method.model), 8)
    optimizer = torch.optim.AdamW(method.model.parameters(), lr=RATE, weight_decay=0.01)
    for t in range(8):
        method.update(batch_of(X, Y, step=t), [optimizer])
        optimizer.step()
        optimizer.zero_grad()
    torch.testing.assert_close(method.model.weight.detach(), expected[0])
    torch.testing.assert_close(method.teacher.teacher.weight, expected[1])


def test_zero_steps_ahead_and_virtual_steps_of_rate_zero_are_the_same_bits() -> None:
    results = []
    for words in ({"variant": "deep", "ahead": 0}, {"variant": "fst", "look": 0.0}):
        data = rows()
        method = built(FutureSelfTraining, data, **words)
        optimizer = torch.optim.AdamW(method.model.parameters(), lr=1e-2, weight_decay=0.0)
        feed = feed_for(method, data)
        for step in range(3):
            method.update(feed.batch(step, 3), [optimizer])
            optimizer.step()
            optimizer.zero_grad()
        results.append([p.detach().clone() for p in method.model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("variant", ["fst", "deep", "wide"])
def test_virtual_steps_leave_no_trace_in_the_student(variant: str) -> None:
    data = rows()
    method = built(FutureSelfTraining, data, variant=variant)
    optimizer = torch.optim.AdamW(method.model.parameters(), lr=1e-2)
    feed = feed_for(method, data)
    for step in range(2):
        method.update(feed.batch(step, 4), [optimizer])
        optimizer.step()
        optimizer.zero_grad()
    before = {name: x.clone() for name, x in method.model.named_parameters()}
    moments = {name: optimizer.state[p]["exp_avg"].clone() for name, p in method.model.named_parameters()}
    twin = copy.deepcopy(method)
    method.update(feed.batch(2, 4), [optimizer])
    assert all(torch.equal(x, before[name]) for name, x in method.model.named_parameters())
    assert all(torch.equal(optimizer.state[p]["exp_avg"], moments[name]) for name, p in method.model.named_parameters())
    twin.teacher.load_state_dict(method.teacher.state_dict())
    twin.loss(feed.batch(2, 4)).loss.backward()
    for one, other in zip(method.model.parameters(), twin.model.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_wide_takes_other_batches_for_the_future_than_for_the_real_step() -> None:
    data = rows()
    method = built(FutureSelfTraining, data, variant="wide", ahead=2)
    batch = feed_for(method, data).batch(1, 4)
    places = [batch.position, *(other.position for other in batch.more)]
    assert torch.cat(places).tolist() == list(range(48, 96))


def test_what_it_is_not_sure_of_does_not_teach() -> None:
    method = linear(threshold=1.01)
    step = method.loss(batch_of(X, Y))
    assert step.terms["consistency"] == 0
    torch.testing.assert_close(step.loss, F.cross_entropy(method.model(X)[Y >= 0], Y[Y >= 0]))


def test_a_variant_without_a_future_is_an_error() -> None:
    with pytest.raises(UserError, match="at least 1 step"):
        linear(variant="wide", ahead=0)


def test_virtually_restores_an_optimizer_that_had_not_begun() -> None:
    model = Linear()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    before = model.weight.detach().clone()
    with virtually(model, optimizer):
        model(X).sum().backward()
        optimizer.step()
        assert not torch.equal(model.weight, before)
    assert torch.equal(model.weight, before)
    assert not optimizer.state
    assert model.weight.grad is None


@pytest.mark.parametrize(
    ("shape", "modality"), [((4, 3, 8, 8), "image"), ((4, 2, 40), "series"), ((4, 50), "audio"), ((4, 30), "table")]
)
def test_a_patch_comes_from_the_neighbour_and_its_share_is_counted(shape: tuple[int, ...], modality: str) -> None:
    x = torch.arange(4.0).view(-1, *[1] * (len(shape) - 1)).expand(shape)
    batch = batch_of(x, torch.zeros(4, dtype=torch.int64))
    mixed, partner, share, piece = patched(x, batch, torch.tensor([1.0, 1.0, 1.0, 0.0]), modality)
    assert partner.tolist() == [1, 0, 3, 2]
    assert share[3] == 0
    assert (share[:3] > 0).any()
    expected = (1 - share) * torch.arange(4.0) + share * partner
    torch.testing.assert_close(mixed.flatten(1).mean(1), expected)
    torch.testing.assert_close(piece.float().flatten(1).mean(1), share)


def test_a_sample_whose_neighbour_is_elsewhere_stays_as_it_is() -> None:
    x = torch.arange(3.0)[:, None].expand(3, 10)
    batch = batch_of(x, torch.zeros(3, dtype=torch.int64))
    mixed, partner, share, _ = patched(x, batch, torch.ones(3), "table")
    assert partner.tolist() == [1, 0, 2]
    assert share[2] == 0
    assert torch.equal(mixed[2], x[2])
