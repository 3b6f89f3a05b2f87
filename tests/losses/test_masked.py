from __future__ import annotations

import numpy as np
import pytest
import torch

from ipse.losses import masked_mse


def test_equals_the_slow_version() -> None:
    generator = torch.Generator().manual_seed(0)
    prediction, target = torch.randn(2, 3, 5, 8, dtype=torch.float64, generator=generator)
    mask = torch.rand(3, 5, generator=generator) < 0.6
    errors: dict[bool, list[float]] = {True: [], False: []}
    for b, n in zip(*np.nonzero(mask.numpy()), strict=True):
        x = target[b, n].numpy()
        for normalize in errors:
            y = (x - x.mean()) / np.sqrt(x.var(ddof=1) + 1e-6) if normalize else x
            errors[normalize].append(np.mean((prediction[b, n].numpy() - y) ** 2))
    for normalize, values in errors.items():
        assert masked_mse(prediction, target, mask, normalize).item() == pytest.approx(np.mean(values), rel=1e-10)


def test_visible_patches_do_not_matter() -> None:
    prediction, target = torch.randn(2, 2, 4, 6)
    mask = torch.tensor([[True, False, True, False]] * 2)
    changed = torch.where(mask[..., None], prediction, 1e3)
    torch.testing.assert_close(masked_mse(prediction, target, mask), masked_mse(changed, target, mask))


def test_a_plain_patch_and_an_empty_mask_are_survived() -> None:
    prediction, target = torch.zeros(1, 2, 4), torch.full((1, 2, 4), 7.0)
    assert masked_mse(prediction, target, torch.tensor([[True, True]])).item() == 0
    assert masked_mse(prediction, target, torch.tensor([[False, False]]), normalize=False).item() == 0
