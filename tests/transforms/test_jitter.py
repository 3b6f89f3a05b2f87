"""Mild views of samples as a model sees them."""

from __future__ import annotations

import pytest
import torch

from ipse.transforms.jitter import jittered_view, weak_view

SHAPES = {"image": (6, 3, 16, 16), "audio": (6, 400), "series": (6, 2, 50), "table": (6, 8)}


@pytest.mark.parametrize("modality", SHAPES)
@pytest.mark.parametrize("make", [jittered_view, weak_view])
def test_views_depend_on_key_and_position_alone_and_change_the_sample_a_little(make, modality: str) -> None:  # type: ignore[no-untyped-def]
    x = torch.randn(SHAPES[modality], generator=torch.Generator().manual_seed(0)).mul(0.3).clamp(-1, 1)
    position = torch.arange(6)
    y = make(x, modality, 7, position)
    assert y.shape == x.shape
    assert not torch.equal(y, x)
    assert y.isfinite().all()
    assert not torch.equal(make(x, modality, 8, position), y)
    if modality != "table":  # whose cells come from other rows of the batch
        torch.testing.assert_close(make(x[2:4], modality, 7, position[2:4]), y[2:4], atol=1e-5, rtol=0)
    if modality in ("image", "audio"):
        assert y.abs().max() <= 1


def test_grey_pictures_are_not_mirrored() -> None:
    x = torch.zeros(64, 1, 16, 16)
    x[..., :4] = 1
    assert (weak_view(x, "image", 0, torch.arange(64))[..., 12:] == 0).all()


def test_what_is_unknown_stays_unknown() -> None:
    x = torch.ones(4, 2, 40)
    x[:, :, :10] = torch.nan
    assert jittered_view(x, "series", 0, torch.arange(4)).isnan().sum() == 80
