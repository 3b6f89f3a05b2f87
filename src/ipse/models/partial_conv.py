"""Convolution over what is known."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PartialConv1d(nn.Conv1d):
    """A convolution that leaves out hidden values and makes up for them: (B, C, T) to (B, out, T').

        y = (w * (x m)) n / k + b,  0 where k = 0

    with m the mask, k the number of values under the window that the mask lets through and n the size of the window, all
    channels together; the padding at the ends counts as hidden. Takes what Conv1d takes, but groups and padding modes.

    Liu et al., ECCV 2018, arXiv:1804.07723; in one dimension: Xu et al., ICLR 2024, arXiv:2311.00519
    """

    ones: Tensor

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, **options: Any):
        super().__init__(in_channels, out_channels, kernel_size, **options)
        self.register_buffer("ones", torch.ones(1, in_channels, kernel_size), persistent=False)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """`mask`: bool, broadcast to x, True where a value is seen; values that are NaN never are."""
        seen = ~x.isnan() if mask is None else mask & ~x.isnan()
        raw = self._conv_forward(torch.where(seen, x, 0), self.weight, None)
        with torch.autocast(x.device.type, enabled=False):  # bfloat16 does not count beyond 256
            let = F.conv1d(seen.to(self.ones.dtype), self.ones, None, self.stride, self.padding, self.dilation)
        out = raw * (self.ones.numel() / let.clamp_min(1))
        if self.bias is not None:
            out = out + self.bias[:, None]
        return torch.where(let > 0, out, 0)
