"""A frozen model answers, and nothing else."""

from __future__ import annotations

import copy
import pickle

import torch
from torch import nn

from ipse.models import Frozen


class Holder(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.own, self.held = nn.Linear(2, 2), Frozen(model)


def test_it_stays_as_it_is_whatever_happens_around_it() -> None:
    holder = Holder(nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.9)))
    holder.train()
    x = torch.randn(6, 2)
    assert not holder.held.model.training
    assert torch.equal(holder.held(x), holder.held(x))
    assert torch.equal(holder.held.model[0].running_mean, torch.zeros(2))
    assert not holder.held(x.requires_grad_()).requires_grad


def test_it_is_no_part_of_the_state_and_has_nothing_to_learn() -> None:
    holder = Holder(nn.Linear(2, 2))
    assert set(holder.state_dict()) == {"own.weight", "own.bias"}
    assert len(list(holder.parameters())) == 2
    holder.load_state_dict(holder.state_dict())


def test_it_goes_where_its_holder_goes() -> None:
    holder = Holder(nn.Linear(2, 2)).to(torch.float64)
    assert holder.held.model.weight.dtype == torch.float64


def test_what_else_is_asked_of_it() -> None:
    inner = nn.Linear(2, 3)
    assert Frozen(inner).out_features == 3
    assert not hasattr(Frozen(inner), "nothing")


def test_copies_are_frozen_too() -> None:
    frozen, x = Frozen(nn.Linear(2, 3)), torch.ones(1, 2)
    for other in (copy.deepcopy(frozen), pickle.loads(pickle.dumps(frozen))):
        assert torch.equal(other(x), frozen(x))
        assert not other.model.weight.requires_grad
