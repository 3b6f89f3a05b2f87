from __future__ import annotations

import torch
from torch import nn

from ipse.models.conditional import ConditionalBlock, ConditionalNorm
from ipse.models.tokens import Block


def test_norm_by_hand() -> None:
    norm = ConditionalNorm(2, 1)
    with torch.no_grad():
        norm.gain.weight.copy_(torch.tensor([[1.0], [0.0]]))
        norm.bias.weight.copy_(torch.tensor([[0.0], [5.0]]))
    y = norm(torch.tensor([[[3.0, 1.0]]]), torch.tensor([[2.0]]))  # normalised: 1, -1
    torch.testing.assert_close(y, torch.tensor([[[3.0, 9.0]]]), atol=1e-4, rtol=0)


def test_each_frame_is_normalised_by_itself() -> None:
    norm, x, s = ConditionalNorm(4, 3), torch.randn(2, 5, 4), torch.randn(2, 3)
    nn.init.normal_(norm.gain.weight)
    y = norm(x, s)
    x[:, 1:] = 7 * x[:, 1:] + torch.arange(4.0)
    assert torch.equal(norm(x, s)[:, 0], y[:, 0])


def test_a_block_begins_as_a_usual_one() -> None:
    torch.manual_seed(0)
    block, usual = ConditionalBlock(8, 2, 3), Block(8, 2)
    for name in ("qkv", "out", "up", "down"):
        getattr(usual, name).load_state_dict(getattr(block, name).state_dict())
    x = torch.randn(2, 5, 8)
    torch.testing.assert_close(block(x, torch.randn(2, 3), torch.ones(2, 5).bool()), usual(x))


def test_padding_is_not_attended() -> None:
    block, x, s = ConditionalBlock(8, 2, 3), torch.randn(2, 5, 8), torch.randn(2, 3)
    valid = torch.tensor([[True, True, True, False, False], [False] * 5])
    y = block(x, s, valid)
    x[0, 3:] = 9.0
    assert torch.equal(block(x, s, valid)[0, :3], y[0, :3])
    assert y.isfinite().all()
