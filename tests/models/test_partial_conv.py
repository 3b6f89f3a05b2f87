from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ipse.models.partial_conv import PartialConv1d


def series() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 20, generator=generator), torch.rand(2, 3, 20, generator=generator) < 0.6


@pytest.mark.parametrize("bias", [True, False])
def test_equals_the_slow_version(bias: bool) -> None:
    x, mask = series()
    mask[1, :, 8:16] = False
    conv = PartialConv1d(3, 4, 5, padding=2, bias=bias)
    out = conv(x, mask)
    w = conv.weight.detach().numpy()
    for b, o, t in np.ndindex(2, 4, 20):
        seen = [(c, k) for c in range(3) for k in range(5) if 0 <= t + k - 2 < 20 and mask[b, c, t + k - 2]]
        expected = 0.0
        if seen:
            expected = sum(w[o, c, k] * x[b, c, t + k - 2].item() for c, k in seen) * 15 / len(seen)
            expected += conv.bias[o].item() if conv.bias is not None else 0
        assert out[b, o, t].item() == pytest.approx(expected, abs=1e-5)


def test_where_everything_is_seen_it_is_a_convolution() -> None:
    x, mask = series()
    conv = PartialConv1d(3, 4, 5, padding=4, dilation=2)
    plain = torch.nn.Conv1d(3, 4, 5, padding=4, dilation=2)
    plain.load_state_dict(conv.state_dict())
    inner = slice(4, -4)
    torch.testing.assert_close(conv(x, torch.ones_like(mask))[..., inner], plain(x)[..., inner])
    torch.testing.assert_close(conv(x), conv(x, torch.ones_like(mask)))


def test_hidden_values_do_not_matter() -> None:
    x, mask = series()
    conv = PartialConv1d(3, 4, 5, padding=2)
    changed = torch.where(mask, x, 1e3 * torch.randn_like(x))
    assert torch.equal(conv(changed, mask), conv(x, mask))
    assert torch.equal(conv(x.masked_fill(~mask, torch.nan)), conv(x, mask))
    x.requires_grad_()
    conv(x.masked_fill(~mask, torch.nan)).square().sum().backward()
    assert x.grad is not None
    assert not x.grad[~mask].any()
    assert x.grad.isfinite().all()


def test_a_mask_of_steps_and_the_size_of_windows_in_half_precision() -> None:
    x, _ = series()
    conv = PartialConv1d(3, 4, 5, stride=2)
    steps = torch.arange(20) % 3 > 0
    torch.testing.assert_close(conv(x, steps), conv(x, steps.expand(2, 3, 20)))
    assert conv(x, steps).shape == (2, 4, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert conv(x, steps).isfinite().all()
    wide = PartialConv1d(300, 1, 3, bias=False)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(wide(torch.ones(1, 300, 3)).item(), wide.weight.sum().item(), rtol=0.02, atol=0.02)
