"""Where the pixels of views come from: what is known of the pixels of pictures, as views show it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ipse.data import Raw
from ipse.transforms.image import ImagePolicy
from ipse.transforms.view import View


def shown(mask: Tensor, view: View) -> Tensor:
    """The class of each pixel of a view, that of the nearest pixel of the picture: whole numbers (B, H, W) to int64 (B, S, S).

    -1 where the picture has none. `view` shows the same B pictures, whatever their size.
    """
    if view.matrix is None:
        raise ValueError("only pictures have pixels")
    grid = F.affine_grid(view.matrix, [len(mask), 1, *view.x.shape[-2:]], align_corners=False)
    # Behind the edge there is the reflected picture, as in the view.
    found = F.grid_sample(mask[:, None].float(), grid, mode="nearest", padding_mode="reflection", align_corners=False)
    return found[:, 0].round().to(torch.int64)


def squeezed(raw: Raw) -> Raw:
    """Pictures as they are read, to be seen all of them, squeezed into a square, in place of the square in their middle."""
    return {**raw, "aspect": torch.ones_like(raw["aspect"])}


def same_part(policy: ImagePolicy) -> dict[str, Any]:
    """The settings of a look that shows what a look by this policy shows, if it draws from the same key: only colours differ, and what is hidden."""
    return {f"image.{name}": getattr(policy, name) for name in ("crop", "ratio", "flip", "flip_vertical", "rotation")}
