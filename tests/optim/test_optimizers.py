from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from ipse.errors import UserError
from ipse.optim import OPTIMIZERS, build, parameter_groups


class Model(nn.Module):
    no_weight_decay = ("scale",)

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)
        self.norm = nn.LayerNorm(4)
        self.pos_embed = nn.Parameter(torch.ones(1, 5, 4))
        self.class_token = nn.Parameter(torch.ones(1, 1, 4))
        self.scale = nn.Parameter(torch.ones(2, 2))
        self.frozen = nn.Parameter(torch.ones(2, 2), requires_grad=False)


def names(module: nn.Module) -> list[set[str]]:
    known_names = {parameter: name for name, parameter in module.named_parameters()}
    return [{known_names[p] for p in group["params"]} for group in parameter_groups(module, 0.1)]


def test_what_decays() -> None:
    outer = nn.ModuleDict({"inner": Model()})
    decay, keep = names(outer)
    assert decay == {"inner.linear.weight"}
    assert keep == {f"inner.{n}" for n in ("linear.bias", "norm.weight", "norm.bias", "pos_embed", "class_token", "scale")}
    assert [group["weight_decay"] for group in parameter_groups(outer, 0.1)] == [0.1, 0.0]
    assert len(parameter_groups(nn.Linear(2, 2, bias=False), 0.1)) == 1


def test_what_a_timm_model_spares() -> None:
    model = timm.create_model("vit_tiny_patch16_224", pretrained=False, depth=1)
    decay, keep = names(model)
    assert {"pos_embed", "cls_token"} <= keep
    assert "patch_embed.proj.weight" in decay


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_learns(name: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 1))
    optimizer = build(name, parameter_groups(model, 1e-4), lr={"adamw": 0.02, "dot": 0.02, "sgd": 0.02, "lars": 0.1}[name])
    x = torch.randn(64, 4)
    losses = []
    for _ in range(40):
        loss = (model(x)[:, 0] - x[:, 0]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_lars_adapts_matrices_and_leaves_vectors_alone(weight_decay: float) -> None:
    model = nn.Linear(3, 2)
    nn.init.constant_(model.weight, 2.0)
    nn.init.constant_(model.bias, 2.0)
    optimizer = build("lars", parameter_groups(model, weight_decay), lr=1.0)
    model.weight.grad, model.bias.grad = torch.ones(2, 3), torch.ones(2)
    optimizer.step()
    norm, gradient = (4 * 6) ** 0.5, 6**0.5
    step = 0.001 * norm / (gradient + weight_decay * norm) * (1 + 2 * weight_decay)
    torch.testing.assert_close(model.weight.detach(), torch.full((2, 3), 2 - step))
    torch.testing.assert_close(model.bias.detach(), torch.full((2,), 1.0))


def test_adamw_equals_the_formula() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    optimizer = build("adamw", parameter_groups(model, 0.5), lr=0.1)
    model.weight.grad = torch.full((1, 1), 3.0)
    optimizer.step()
    assert model.weight.item() == pytest.approx(1 - 0.1 * 0.5 - 0.1, rel=1e-5)  # decay, then a first step of size lr


def test_unknown_optimizer() -> None:
    with pytest.raises(UserError, match="unknown optimizer 'adam': did you mean 'adamw'"):
        build("adam", [], lr=1.0)
