"""Classes of pixels where views show them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ipse.transforms import ImagePolicy, Look
from ipse.transforms.image import ImageViewer
from ipse.transforms.places import same_part, shown, squeezed

N, SIDE = 6, 48
POSITION = torch.arange(N)


def pictures() -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Large patches of five classes, and pictures whose grey is the class."""
    coarse = np.random.default_rng(0).integers(0, 5, (N, 3, 3))
    mask = np.kron(coarse, np.ones((1, SIDE // 3, SIDE // 3), np.int64))
    x = torch.from_numpy((50 * mask).astype(np.uint8))[:, None]
    return {"x": x, "aspect": torch.ones(N)}, torch.from_numpy(mask.astype(np.int16))


@pytest.mark.parametrize("rotation", [0.0, 40.0])
def test_a_mask_goes_where_its_picture_goes(rotation: float) -> None:
    raw, mask = pictures()
    policy = ImagePolicy(jitter=0.0, grey=0.0, blur=0.0, flip_vertical=0.5, rotation=rotation)
    view = ImageViewer(policy, 32).view(raw, Look(), 3, POSITION)
    found = shown(mask, view)
    assert found.dtype == torch.int64
    grey = 127.5 * (view.x[:, 0] + 1) / 50
    inside = (grey - grey.round()).abs() < 0.02  # not between two patches
    assert inside.float().mean() > 0.6
    assert (found[inside] == grey[inside].round()).float().mean() > 0.97


def test_the_picture_as_it_is_has_the_mask_as_it_is() -> None:
    raw, mask = pictures()
    view = ImageViewer(ImagePolicy(), SIDE).original(raw)
    assert torch.equal(shown(mask, view), mask.long())
    mask[:, :10] = -1
    assert torch.equal(shown(mask, view), mask.long())


def test_two_looks_from_one_key_show_the_same_part() -> None:
    raw, _ = pictures()
    viewer = ImageViewer(ImagePolicy(rotation=20.0, cutout=1.0), 32)
    weak, strong = Look("weak"), Look("strong", changes=same_part(viewer.policy_of(Look("weak"))))
    one, other = (viewer.view(raw, look, 5, POSITION) for look in (weak, strong))
    assert one.matrix is not None
    assert other.matrix is not None
    assert torch.equal(one.matrix, other.matrix)
    assert not torch.equal(one.x, other.x)


def test_a_wide_picture_is_seen_to_its_ends() -> None:
    raw, mask = pictures()
    raw["aspect"] *= 2
    viewer = ImageViewer(ImagePolicy(), SIDE)
    assert torch.equal(shown(mask, viewer.original(squeezed(raw))), mask.long())
    assert not torch.equal(shown(mask, viewer.original(raw)), mask.long())
