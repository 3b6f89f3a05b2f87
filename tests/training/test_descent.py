from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ipse.errors import UserError
from ipse.training import Player, descend, patches


class Point(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.x, self.y = nn.Parameter(torch.tensor(3.0)), nn.Parameter(torch.tensor(1.0))


class Log:
    def __init__(self) -> None:
        self.losses: list[float] = []
        self.events: list[str] = []

    def start(self, steps: int, first: int) -> None:
        self.steps = steps

    def record(self, method: nn.Module, record: dict[str, Any]) -> None:
        self.losses.append(record["loss"])

    def event(self, step: int, text: str) -> None:
        self.events.append(text)

    def close(self) -> None:
        self.closed = True


def test_goes_down_and_reports() -> None:
    point, log = Point(), Log()
    descend(point, Player([point.x], lambda step: point.x.square(), lr=0.1), steps=100, observer=log)
    assert abs(point.x.item()) < 0.2
    assert point.y.item() == 1
    assert log.losses[0] == 9
    assert len(log.losses) == log.steps == 100
    assert log.closed
    assert not point.training


def test_first_step_of_adam_by_hand() -> None:
    point = Point()
    descend(point, Player([point.x], lambda step: 5 * point.x, lr=0.25), steps=1)
    assert point.x.item() == pytest.approx(2.75, abs=1e-6)  # Adam's first step is lr times the gradient's sign


def test_players_move_only_themselves() -> None:
    point = Point()
    seen: list[Tensor | None] = []

    def against(step: int) -> Tensor:
        return -(point.x - point.y).square()

    def towards(step: int) -> Tensor:
        seen.append(point.x.grad)
        return (point.x.detach() - point.y).square()

    descend(point, Player([point.x], lambda step: point.x * point.y, lr=0.1), Player([point.y], towards, lr=0.0), steps=3)
    assert point.y.item() == 1
    assert seen == [None] * 3
    assert against(0) <= 0


def test_the_same_seed_gives_the_same_and_the_callers_generator_stays() -> None:
    def learned(seed: int) -> float:
        point = Point()
        descend(point, Player([point.x], lambda step: (point.x - torch.randn(())).square(), lr=0.1), steps=5, seed=seed)
        return point.x.item()

    before = torch.get_rng_state()
    assert learned(1) == learned(1) != learned(2)
    assert torch.equal(before, torch.get_rng_state())


def test_a_bad_step_is_undone() -> None:
    point, log, bad = Point(), Log(), [10]

    def loss(step: int) -> Tensor:
        if bad and step == bad[0]:
            bad.clear()
            return point.x * math.nan
        return point.x.square()

    descend(point, Player([point.x], loss, lr=0.05), steps=60, observer=log)
    assert len(log.events) == 1
    assert point.x.isfinite()
    assert abs(point.x.item()) < 3


def test_divergence_is_said() -> None:
    point = Point()
    with pytest.raises(UserError, match="diverges"):
        descend(point, Player([point.x], lambda step: point.x * math.inf), steps=50)


@pytest.mark.parametrize("shape", [(1, 3, 40, 50), (1, 2, 3, 9, 40), (1, 1, 1, 1), (1, 1, 5, 1)])
def test_patches(shape: tuple[int, ...]) -> None:
    x = torch.rand(shape)
    found = patches([x, x], 16, 4, seed=0, step=3, flips=True)
    assert found.shape == (4, *shape[1:-2], 16, 16)
    assert torch.equal(found, patches([x, x], 16, 4, seed=0, step=3, flips=True))
    assert set(found.flatten().tolist()) <= set(x.flatten().tolist())
    if x.numel() > 100:
        assert not torch.equal(found, patches([x, x], 16, 4, seed=0, step=4, flips=True))
