from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ipse.models import bilateral as module
from ipse.models.bilateral import BilateralStages, bilateral


def picture(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def widths(sx: float, sy: float, sr: float, *size: int) -> Tensor:
    return torch.tensor([sx, sy, sr], dtype=torch.float64)[:, None, None].expand(1, 3, *size)


def test_a_constant_is_a_fixed_point() -> None:
    x = torch.full((1, 3, 16, 24), 0.3)
    torch.testing.assert_close(bilateral(x, widths(2, 1, 0.1, 16, 24).float()), x)
    torch.testing.assert_close(BilateralStages(3)(x).x, x)


def test_a_wide_range_is_a_gaussian_blur() -> None:
    x = picture(1, 1, 12, 12)
    kernels = [torch.exp(-(torch.arange(-3, 4, dtype=torch.float64) ** 2) / (2 * s**2)) for s in (3.0, 1.2)]
    across, down = (k / k.sum() for k in kernels)
    padded = torch.nn.functional.pad(x, (3, 3, 3, 3), mode="reflect")
    blurred = torch.nn.functional.conv2d(padded, (down[:, None] * across)[None, None])
    torch.testing.assert_close(bilateral(x, widths(3.0, 1.2, 1e6, 12, 12)), blurred)


def test_no_width_is_the_identity() -> None:
    x = picture(1, 2, 8, 8)
    torch.testing.assert_close(bilateral(x, widths(1e-6, 1e-6, 1.0, 8, 8)), x)
    torch.testing.assert_close(bilateral(x, widths(2.0, 2.0, 1e-6, 8, 8)), x)


def test_weights_sum_to_one() -> None:
    x = picture(1, 1, 8, 8)
    torch.testing.assert_close(bilateral(x + 3, widths(1.5, 0.7, 0.2, 8, 8)), bilateral(x, widths(1.5, 0.7, 0.2, 8, 8)) + 3)


def test_as_the_authors_code_filters() -> None:
    """Three pixels of (7 i mod 11) / 11 on 8x8, sigma 1.5, 0.8 and 0.3, by their AGBF."""
    x = (torch.arange(64.0) * 7 % 11 / 11).reshape(1, 1, 8, 8)
    y = bilateral(x, widths(1.5, 0.8, 0.3, 8, 8).float())
    assert y[0, 0, [0, 3, 7], [0, 4, 6]].tolist() == pytest.approx([0.1758361, 0.6577447, 0.4066967], abs=1e-6)


def test_bands_of_rows_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    x, s = picture(1, 2, 20, 16), widths(1.5, 2.5, 0.2, 20, 16)
    with torch.no_grad():
        whole = bilateral(x, s)
        monkeypatch.setattr(module, "_MOST", 49 * 2 * 16 * 3)
        torch.testing.assert_close(bilateral(x, s), whole)


def test_widths_of_patches_can_be_seen_and_given_back() -> None:
    model, x = BilateralStages(1).double(), picture(1, 1, 32, 16)
    y, sigmas = model(x)
    assert [tuple(s.shape) for s in sigmas] == [(1, 3, 4, 2)] * 2
    assert all(((s > 0) & (s < 6.1)).all() for s in sigmas)
    torch.testing.assert_close(model(x, sigmas).x, y)
    sigmas[0][:, :2, :2, :], sigmas[1][:, :2, :2, :] = 1e-6, 1e-6
    kept = model(x, sigmas).x
    torch.testing.assert_close(kept[..., :16, :], x[..., :16, :])


def test_a_few_thousand_weights() -> None:
    assert 1000 < sum(p.numel() for p in BilateralStages(1).parameters()) < 5000
