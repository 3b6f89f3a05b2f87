from __future__ import annotations

import pytest
import torch

from ipse.losses.restoration import self_regression, total_variation


def test_by_hand() -> None:
    x = torch.tensor([[[[0.0, 1.0], [3.0, 1.0]]]])
    assert total_variation(x).item() == pytest.approx((9 + 0) / 2 + (1 + 4) / 2)
    assert self_regression(x, torch.zeros_like(x)).item() == pytest.approx(5 / 4)
    assert self_regression(x, torch.zeros_like(x), tv=0.5).item() == pytest.approx(5 / 4 + 0.5 * 7)
    assert total_variation(torch.ones(1, 1, 1, 1)).item() == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_promoted(dtype: torch.dtype) -> None:
    x = torch.rand(2, 3, 5, 5).to(dtype)
    assert self_regression(x, x.flip(0), 0.1).dtype == torch.float32
    torch.testing.assert_close(self_regression(x, x.flip(0), 0.1), self_regression(x.float(), x.flip(0).float(), 0.1))


def test_gradient() -> None:
    x, y = torch.rand(2, 1, 2, 4, 4, dtype=torch.float64).unbind()
    assert torch.autograd.gradcheck(lambda t: self_regression(t, y, 0.3), (x.requires_grad_(),))
