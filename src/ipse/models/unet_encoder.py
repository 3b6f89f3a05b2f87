"""A U-Net as an encoder: a place for every pixel."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ipse.data import Form
from ipse.errors import UserError
from ipse.models.encoder import Encoder
from ipse.models.unet import UNet


class UNetEncoder(Encoder):
    """A `UNet` with batch normalisation whose features are its places: (B, C, S, S) to (B, dim), their mean.

    width: of its largest grid, growing twofold at each of `depth` smaller ones; None halves S as often as it can, at most 3 times.
    dim: of its features, `width` where it is None.
    """

    name = "unet"

    def __init__(self, form: Form, width: int = 16, depth: int | None = None, dim: int | None = None):
        super().__init__()
        size = form["size"]
        if depth is None:
            depth = next(d for d in (3, 2, 1, 0) if size % 2**d == 0)
        if depth < 1 or size % 2**depth:
            raise UserError(
                f"encoder unet halves its pictures {max(depth, 1)} times, and {size} px are not a multiple of {2 ** max(depth, 1)}: --size"
            )
        self.form, self.width, self.depth, self.dim = form, width, depth, dim or width
        self.net = UNet(form["channels"], self.dim, width=width, depth=depth, norm="batch")

    def forward(self, x: Tensor) -> Tensor:
        return self._grid(x).mean((2, 3))

    def dense(self, x: Tensor) -> Tensor:
        return self._grid(x).flatten(2).transpose(1, 2)

    def _grid(self, x: Tensor) -> Tensor:
        grid: Tensor = self.net(x).relu()
        return grid

    def options(self) -> dict[str, Any]:
        return super().options() | {"width": self.width, "depth": self.depth, "dim": self.dim}
