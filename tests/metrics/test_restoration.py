from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ipse.errors import UserError
from ipse.metrics.restoration import brightness, clipped, colorfulness, contrast, psnr, ssim


def photo() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_sample_image

    x = torch.from_numpy(load_sample_image("china.jpg") / 255).permute(2, 0, 1).float()[:, :150, :203]
    return x, (x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)


def test_parity_with_scikit_image(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    x, y = photo()
    a, b = (t.permute(1, 2, 0).numpy().astype(np.float64) for t in (x, y))
    assert psnr(y, x) == pytest.approx(metrics.peak_signal_noise_ratio(a, b, data_range=1), abs=1e-6)
    words = {"data_range": 1, "channel_axis": -1, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    expected = metrics.structural_similarity(a, b, **words)
    assert ssim(y, x) == pytest.approx(expected, abs=1e-6)
    monkeypatch.setattr("ipse.metrics.restoration._ROWS", 17)  # in strips the same
    assert ssim(y, x) == pytest.approx(expected, abs=1e-6)
    assert psnr(y, x) == pytest.approx(metrics.peak_signal_noise_ratio(a, b, data_range=1), abs=1e-6)


def test_by_hand() -> None:
    x = torch.zeros(1, 4, 4)
    assert psnr(x, x) == math.inf
    assert psnr(x, x + 0.1) == pytest.approx(20, abs=1e-5)
    assert psnr(25.5 * torch.ones(1, 2, 2), torch.zeros(1, 2, 2), peak=255) == pytest.approx(20)
    assert ssim(photo()[0], photo()[0]) == pytest.approx(1)
    assert math.isnan(ssim(x, x))
    with pytest.raises(UserError, match="one size"):
        psnr(x, torch.zeros(1, 4, 5))


def test_light() -> None:
    red = torch.zeros(3, 2, 2)
    red[0] = 1
    assert brightness(red) == pytest.approx(0.299)
    assert contrast(red) == 0
    assert colorfulness(red) == pytest.approx(0.3 * math.hypot(1, 0.5))
    assert colorfulness(torch.rand(1, 3, 3)) == 0
    half = torch.tensor([[[0.0, 0.5], [0.5, 1.0]]])
    assert clipped(half) == 0.5
    assert contrast(half) == pytest.approx(math.sqrt(0.125))
