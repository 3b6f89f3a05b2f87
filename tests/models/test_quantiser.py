from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ipse.errors import UserError
from ipse.losses import diversity, future_l1
from ipse.models.quantiser import GumbelQuantiser


def transparent(width: int, entries: int) -> GumbelQuantiser:
    """A quantiser whose codes are the one-hot vectors themselves."""
    quantiser = GumbelQuantiser(width, groups=1, entries=entries, dim=entries).double()
    with torch.no_grad():
        quantiser.codebook.copy_(torch.eye(entries)[None])
    return quantiser


def test_one_hot_forward_and_soft_backward() -> None:
    torch.manual_seed(0)
    quantiser, u = transparent(4, 5), torch.rand(2, 6, 1, 5)
    x = torch.randn(2, 6, 4, dtype=torch.float64, requires_grad=True)
    codes = quantiser(x, u, temperature=0.5)
    assert torch.equal(codes.x, torch.eye(5)[codes.indices[..., 0]].to(codes.x.dtype))
    direction = torch.randn(2, 6, 5)
    noise = -torch.log(-torch.log(u[..., 0, :]))
    y = torch.softmax((quantiser.logits(x).float() + noise) / 0.5, dim=-1)
    (gradient,) = torch.autograd.grad((codes.x * direction).sum(), x, retain_graph=True)
    (expected,) = torch.autograd.grad((y * direction).sum(), x)
    torch.testing.assert_close(gradient, expected)
    assert gradient.abs().max() > 0


def test_entries_of_the_groups_stand_side_by_side() -> None:
    quantiser = GumbelQuantiser(4, groups=3, entries=5, dim=6)
    codes = quantiser(torch.randn(2, 7, 4), torch.rand(2, 7, 3, 5))
    for g in range(3):
        torch.testing.assert_close(codes.x[..., 2 * g : 2 * g + 2], quantiser.codebook[g, codes.indices[..., g]])
    torch.testing.assert_close(codes.probabilities.sum(-1), torch.ones(2, 7, 3))


def test_frames_of_one_code_are_equal_to_the_bit() -> None:
    quantiser = GumbelQuantiser(4, groups=2, entries=3, dim=8)
    codes = quantiser(torch.randn(1, 200, 4), torch.rand(1, 200, 2, 3), temperature=0.7)
    number = codes.indices[0, :, 0] * 3 + codes.indices[0, :, 1]
    assert len(codes.x[0].unique(dim=0)) == len(number.unique())


def test_noise_draws_entries_with_their_probability() -> None:
    quantiser = GumbelQuantiser(1, groups=1, entries=3, dim=3)
    with torch.no_grad():
        quantiser.logits.weight.zero_()
        quantiser.logits.bias.copy_(torch.tensor([0.5, 0.3, 0.2]).log())
    u = torch.rand(1, 20_000, 1, 3, generator=torch.Generator().manual_seed(0))
    codes = quantiser(torch.zeros(1, 20_000, 1), u, temperature=2.0)
    share = codes.indices.flatten().bincount() / 20_000
    torch.testing.assert_close(share, torch.tensor([0.5, 0.3, 0.2]), atol=0.015, rtol=0)
    torch.testing.assert_close(codes.probabilities[0, 0, 0], torch.tensor([0.5, 0.3, 0.2]))


def test_evaluation_takes_the_likeliest_entry() -> None:
    quantiser = GumbelQuantiser(4).eval()
    x, u = torch.randn(2, 3, 4), torch.rand(2, 3, 2, 320)
    assert torch.equal(quantiser(x, u).x, quantiser(x).x)
    assert torch.equal(quantiser(x).indices, quantiser(x).probabilities.argmax(-1))
    assert torch.equal(quantiser.train()(x).x, quantiser.eval()(x).x)


def test_one_entry_makes_every_frame_the_same() -> None:
    """The prediction of the future that is left is the best constant, the median."""
    torch.manual_seed(0)
    quantiser, target = GumbelQuantiser(4, groups=1, entries=1, dim=3), torch.randn(1, 15, 3)
    x, u = torch.randn(1, 15, 4), torch.rand(1, 15, 1, 1)
    u[0, 0] = 0.0
    assert len(quantiser(x, u).x[0].unique(dim=0)) == 1
    optimizer = torch.optim.SGD(quantiser.parameters(), lr=0.05)
    for step in range(400):
        optimizer.param_groups[0]["lr"] = 0.3 * (1 - step / 400)
        optimizer.zero_grad()
        future_l1(quantiser(x, u).x, target, 4).backward()
        optimizer.step()
    median = target[0, 4:].median(dim=0).values
    torch.testing.assert_close(quantiser(x).x[0, 0], median, atol=0.02, rtol=0)


@pytest.mark.parametrize("value", [0.0, 1 - 2.0**-24])
def test_extreme_noise_stays_finite(value: float) -> None:
    quantiser = GumbelQuantiser(4, entries=8, dim=4)
    x = torch.randn(2, 3, 4, requires_grad=True)
    codes = quantiser(x, torch.full((2, 3, 2, 8), value), temperature=0.1)
    (codes.x.sum() + diversity(codes.probabilities)).backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_half_precision() -> None:
    quantiser, x = GumbelQuantiser(4), torch.randn(2, 3, 4)

    def probabilities() -> Tensor:
        return quantiser(x, torch.rand(2, 3, 2, 320)).probabilities

    with torch.autocast("cpu", torch.bfloat16):
        assert probabilities().dtype == torch.float32


def test_groups_that_do_not_divide_the_width() -> None:
    with pytest.raises(UserError, match="multiple of its groups: given dim 7, groups 2"):
        GumbelQuantiser(4, groups=2, dim=7)
