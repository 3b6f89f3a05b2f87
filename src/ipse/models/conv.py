"""A small convolutional encoder for pictures of 8 to 64 pixels on a CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ipse.data import Form
from ipse.errors import UserError
from ipse.models.encoder import Encoder
from ipse.models.norm import BatchNorm


class SmallConv(Encoder):
    """Stages of residual 3 x 3 convolutions on grids that halve from stage to stage: (B, C, S, S) to (B, widths[-1]).

    The first layer cuts the picture into patches so that the first grid has about `grid` x `grid` places whatever its size.
    groups: of channels to normalise each sample in (GroupNorm), in place of batch normalisation; 0 for the latter.
    """

    name = "small_conv"

    def __init__(
        self,
        form: Form,
        widths: Sequence[int] = (32, 64, 128),
        depths: Sequence[int] | None = None,
        grid: int = 16,
        groups: int = 0,
    ):
        super().__init__()
        self.form = form
        channels, size = form["channels"], form["size"]
        self.widths, self.depths, self.grid = tuple(widths), tuple(depths or (1,) * len(widths)), grid
        self.dim, self.groups = widths[-1], groups
        patch = max(1, round(size / grid))
        if size // patch < 2 ** (len(self.widths) - 1):
            raise UserError(
                f"encoder small_conv needs pictures of at least {2 ** (len(self.widths) - 1)} px a side, not {size}"
            )
        before = channels
        layers: list[nn.Module] = []
        for i, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True)):
            step = patch if i == 0 else 2
            kernel = step + 2 if i == 0 else 2
            layers += [
                nn.Conv2d(before, width, kernel, step, padding=int(i == 0), bias=False),
                _norm(width, groups),
                nn.ReLU(inplace=True),
            ]
            layers += [_Residual(width, groups) for _ in range(depth)]
            before = width
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self._grid(x).mean((2, 3))

    def dense(self, x: Tensor) -> Tensor:
        return self._grid(x).flatten(2).transpose(1, 2)

    def _grid(self, x: Tensor) -> Tensor:
        grid: Tensor = self.layers(x)
        return grid

    def options(self) -> dict[str, Any]:
        own = {"widths": self.widths, "depths": self.depths, "grid": self.grid}
        return super().options() | own | ({"groups": self.groups} if self.groups else {})


def _norm(width: int, groups: int) -> nn.Module:
    return nn.GroupNorm(groups, width) if groups else BatchNorm(width)


class _Residual(nn.Module):
    """x + BN(conv(ReLU(BN(conv(x))))), then ReLU."""

    def __init__(self, width: int, groups: int = 0):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            _norm(width, groups),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            _norm(width, groups),
        )
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(x + self.body(x))
        return out
