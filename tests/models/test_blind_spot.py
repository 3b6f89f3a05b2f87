from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ipse.models.blind_spot import BlindSpotNet


def net(modules: int = 2) -> BlindSpotNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BlindSpotNet(2, 2, width=6, modules=modules).double()


def gradient(model: BlindSpotNet, x: Tensor, row: int, column: int, blind: bool) -> Tensor:
    (g,) = torch.autograd.grad(model(x, blind=blind)[0, :, row, column].sum(), x)
    return g[0].abs().sum(0)


@pytest.mark.parametrize("modules", [1, 3])
def test_a_blind_pixel_does_not_see_itself_and_an_open_one_does(modules: int) -> None:
    model = net(modules)
    x = torch.rand(1, 2, 15, 15, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    for row, column in [(0, 0), (7, 7), (3, 14), (14, 2), (8, 5)]:
        blind = gradient(model, x, row, column, True)
        assert blind[row, column] == 0
        assert blind.sum() > 0
        assert gradient(model, x, row, column, False)[row, column] > 0


def test_every_pixel_by_forward_differences() -> None:
    model = net()
    x = torch.rand(1, 2, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    before = model(x, blind=True)
    for place in range(81):
        other = x.clone()
        other.flatten(2)[:, :, place] += 1
        torch.testing.assert_close(model(other, blind=True).flatten(2)[:, :, place], before.flatten(2)[:, :, place])


def test_one_set_of_weights_and_the_radius_it_says() -> None:
    model = net(2)
    assert not next(iter(model.buffers())).requires_grad
    assert "branches.0.ring" not in model.state_dict()
    x = torch.rand(1, 2, 31, 31, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    seen = gradient(model, x, 15, 15, False).nonzero() - 15
    assert seen.abs().max() == model.radius == 8


def test_the_width_of_the_paper() -> None:
    """The authors' network has so many weights."""
    count = sum(p.numel() for p in BlindSpotNet(3, 3).parameters())
    w, branch = 128, lambda k: k * k * 128 * 128 + 128 + 3 * (128 * 128 + 128) + 9 * (9 * 128 * 128 + 128 + 128 * 128 + 128)
    assert count == 4 * w + branch(3) + branch(5) + (256 * 128 + 128) + (128 * 64 + 64) + (64 * 64 + 64) + (64 * 3 + 3)
