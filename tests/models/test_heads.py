from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ipse.models import BatchNorm, mlp, prototypes


def layout(head: nn.Sequential) -> list[str]:
    """The layers in words: Linear 4 5 +b for one with a bias."""
    words = []
    for layer in head:
        if isinstance(layer, nn.Linear):
            words.append(f"linear {layer.in_features} {layer.out_features}{' bias' if layer.bias is not None else ''}")
        elif isinstance(layer, BatchNorm):
            words.append(f"norm {layer.num_features}{'' if layer.affine else ' plain'}")
        else:
            words.append(type(layer).__name__.lower())
    return words


class TestMLP:
    @pytest.mark.parametrize(
        ("widths", "options", "expected"),
        [
            ((4, 2), {}, ["linear 4 2"]),
            ((4, 2), {"final_bias": True}, ["linear 4 2 bias"]),
            ((4, 5, 2), {}, ["linear 4 5", "norm 5", "relu", "linear 5 2"]),
            ((4, 5, 6, 2), {}, ["linear 4 5", "norm 5", "relu", "linear 5 6", "norm 6", "relu", "linear 6 2"]),
            ((4, 5, 2), {"norm": False}, ["linear 4 5 bias", "relu", "linear 5 2"]),
            ((4, 5, 2), {"norm": False, "final_bias": True}, ["linear 4 5 bias", "relu", "linear 5 2 bias"]),
            ((4, 5, 2), {"final_norm": True}, ["linear 4 5", "norm 5", "relu", "linear 5 2", "norm 2 plain"]),
        ],
    )
    def test_layout(self, widths, options, expected):
        assert layout(mlp(*widths, **options)) == expected

    def test_by_hand(self):
        head = mlp(2, 2, 1, norm=False, final_bias=True)
        with torch.no_grad():
            head[0].weight.copy_(torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
            head[0].bias.copy_(torch.tensor([0.5, 0.0]))
            head[2].weight.copy_(torch.tensor([[2.0, 3.0]]))
            head[2].bias.fill_(1.0)
        assert head(torch.tensor([[1.0, 1.0], [-1.0, -2.0]])).flatten().tolist() == [4.0, 7.0]  # 2*1.5+0+1, 0+3*2+1

    def test_final_norm_leaves_each_dimension_with_mean_zero_and_deviation_one(self):
        torch.manual_seed(0)
        z = mlp(4, 8, 3, final_norm=True)(torch.randn(50, 4))
        torch.testing.assert_close(z.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
        torch.testing.assert_close(z.std(0, correction=0), torch.ones(3), atol=1e-3, rtol=0)

    @pytest.mark.parametrize("norm", [True, False])
    def test_the_input_stays_as_it_is_and_gets_a_gradient(self, norm):
        x = torch.randn(6, 4, requires_grad=True)
        before = x.detach().clone()
        mlp(4, 8, 3, norm=norm)(x * 1).pow(2).sum().backward()
        assert torch.equal(x.detach(), before)
        assert x.grad is not None


class TestPrototypes:
    def test_they_have_unit_norm_also_after_a_step(self):
        torch.manual_seed(0)
        head = prototypes(5, 7)
        x = torch.randn(3, 5)
        assert head(x).shape == (3, 7)
        optimizer = torch.optim.SGD([p for p in head.parameters() if p.requires_grad], lr=1.0)
        for _ in range(2):
            torch.testing.assert_close(head.weight.norm(dim=1), torch.ones(7))
            torch.testing.assert_close(head(x), x @ F.normalize(head.weight, dim=1).t())
            optimizer.zero_grad()
            head(x).pow(2).sum().backward()
            optimizer.step()
        assert head.bias is None
