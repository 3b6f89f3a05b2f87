"""An unrolled reconstructor: steps towards the measurements, each followed by a small residual net."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ipse.transforms.kspace import combine, measure


class Unrolled(nn.Module):
    """Proximal gradient steps whose proximal maps are learned.

        x_0 = A^H y,   x_{k+1} = R_k( x_k - s_k A^H (A x_k - y) ),   R(x) = x + conv(blocks(conv(x)))

    y, mask, maps as in `ipse.transforms.kspace`; gives a complex image (B, H, W). Steps s_k start at 1 and are learned; no norms, so that
    noisy and clean scans share no statistics. Starts as the zero-filled image.

    Sandino, Cheng et al., IEEE Signal Processing Magazine 2020
    """

    def __init__(self, *, unrolls: int = 5, blocks: int = 2, hidden: int = 64):
        super().__init__()
        self.steps = nn.Parameter(torch.ones(unrolls))
        self.nets = nn.ModuleList(_Proximal(blocks, hidden) for _ in range(unrolls))

    def forward(self, y: Tensor, mask: Tensor, maps: Tensor) -> Tensor:
        x = combine(y, mask, maps)
        for step, net in zip(self.steps, self.nets, strict=True):
            x = net(x - step * combine(measure(x, mask, maps) - y, mask, maps))
        return x


def on_complex(net: nn.Module, x: Tensor) -> Tensor:
    """What a net of pictures (B, 2, H, W) makes of a complex image (B, H, W)."""
    y: Tensor = net(torch.view_as_real(x).permute(0, 3, 1, 2))
    return torch.view_as_complex(y.float().permute(0, 2, 3, 1).contiguous())


class _Proximal(nn.Module):
    def __init__(self, blocks: int, hidden: int):
        super().__init__()
        last = nn.Conv2d(hidden, 2, 3, padding=1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.body = nn.Sequential(nn.Conv2d(2, hidden, 3, padding=1), *(_Block(hidden) for _ in range(blocks)), last)

    def forward(self, x: Tensor) -> Tensor:
        return x + on_complex(self.body, x)


class _Block(nn.Module):
    def __init__(self, hidden: int):
        super().__init__()
        self.first, self.second = (nn.Conv2d(hidden, hidden, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.second(self.first(x.relu()).relu())
        return y
