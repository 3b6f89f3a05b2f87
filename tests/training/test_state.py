"""A state comes back bit for bit, or says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from ipse.errors import UserError
from ipse.optim import OPTIMIZERS, build, parameter_groups
from ipse.training import state as states


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2)).to(
        memory_format=torch.channels_last
    )


def learn(module: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    x = torch.linspace(-1, 1, 5 * 48).view(5, 3, 4, 4)
    for _ in range(steps):
        module(x).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_from_a_state_on_every_bit_is_the_same(name: str, tmp_path: Path) -> None:
    module = network()
    optimizer = build(name, parameter_groups(module, 0.1), lr=0.01)
    learn(module, optimizer, 3)
    states.write(states.take(module, optimizer, step=3), tmp_path / "state.safetensors")
    learn(module, optimizer, 3)
    other = network(seed=1)
    other_optimizer = build(name, parameter_groups(other, 0.1), lr=0.01)
    state = states.read(tmp_path / "state.safetensors")
    assert state.facts == {"step": 3}
    states.restore(state, other, other_optimizer)
    learn(other, other_optimizer, 3)
    assert all(torch.equal(a, b) for a, b in zip(module.state_dict().values(), other.state_dict().values(), strict=True))


def test_a_state_does_not_follow_the_module(tmp_path: Path) -> None:
    module = network()
    optimizer = build("adamw", parameter_groups(module, 0.1), lr=0.01)
    learn(module, optimizer, 1)
    state = states.take(module, optimizer)
    before = {k: v.clone() for k, v in state.tensors.items()}
    learn(module, optimizer, 1)
    assert all(torch.equal(state.tensors[k], v) for k, v in before.items())


def test_a_state_of_something_else(tmp_path: Path) -> None:
    module = network()
    optimizer = build("adamw", parameter_groups(module, 0.1), lr=0.01)
    other = nn.Linear(2, 2)
    with pytest.raises(UserError, match="belongs to another method or encoder"):
        states.restore(states.take(module, optimizer), other, build("adamw", parameter_groups(other, 0.1), lr=0.01))


def test_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    with pytest.raises(UserError, match="nothing to resume"):
        states.read(path)
    states.write(states.State({"a": torch.arange(4.0)}, {"step": 1}), path)
    whole = path.read_bytes()
    for length in (0, 5, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match="is damaged"):
            states.read(path)
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(UserError, match="was altered"):
        states.read(path)
    path.write_bytes(whole)
    with safe_open(path, framework="pt") as file:
        facts = file.metadata()
    save_file({"a": torch.arange(4.0)}, path, metadata={"facts": facts["facts"]})
    with pytest.raises(UserError, match="is damaged"):
        states.read(path)


def test_nothing_is_left_of_a_state_that_could_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.safetensors"
    states.write(states.State({"a": torch.ones(1)}, {"step": 1}), path)

    def full(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(states, "write_tensors", full)
    with pytest.raises(UserError, match="no space left"):
        states.write(states.State({"a": torch.zeros(1)}, {"step": 2}), path)
    assert [p.name for p in tmp_path.iterdir()] == ["state.safetensors"]
    assert states.read(path).facts == {"step": 1}
