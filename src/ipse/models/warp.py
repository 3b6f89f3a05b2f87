"""Moving pictures along a flow, backwards and forwards.

A flow (B, 2, H, W) says by how many pixels to the right (channel 0) and downwards (channel 1).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def backward_warp(x: Tensor, flow: Tensor) -> Tensor:
    """Looks up each pixel of the result: y(p) = x(p + flow(p)), bilinear, the border continued; x (B, C, H, W).

    >>> x = torch.arange(4.0).view(1, 1, 1, 4)
    >>> backward_warp(x, torch.tensor([1.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 1, 4))
    tensor([[[[1., 2., 3., 3.]]]])
    """
    height, width = x.shape[-2:]
    columns = torch.arange(width, device=x.device) + flow[:, 0]
    rows = torch.arange(height, device=x.device)[:, None] + flow[:, 1]
    # Without aligned corners a side of one pixel needs no case of its own.
    grid = torch.stack([(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1], dim=-1)
    return F.grid_sample(x, grid.to(x.dtype), mode="bilinear", padding_mode="border", align_corners=False)


def splat(x: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """Sends each pixel to p + flow(p), shared among its four neighbours by Gaussian weights exp(-distance^2).

    Gives the weighted sum (B, C, H, W), not divided, and the sum of the weights (B, 1, H, W), 0 where nothing arrives. What leaves the picture is lost.
    """
    batch, channels, height, width = x.shape
    columns = torch.arange(width, device=x.device) + flow[:, 0]
    rows = torch.arange(height, device=x.device)[:, None] + flow[:, 1]
    both = torch.cat([x, torch.ones_like(x[:, :1])], dim=1).flatten(2)
    total = torch.zeros_like(both)
    for down in (0, 1):
        for right in (0, 1):
            i, j = rows.detach().floor() + down, columns.detach().floor() + right
            weight = torch.exp(-((rows - i) ** 2) - (columns - j) ** 2)
            inside = (i >= 0) & (i < height) & (j >= 0) & (j < width)
            place = torch.where(inside, i * width + j, torch.zeros_like(i)).long().flatten(1)
            share = (weight * inside).flatten(1)[:, None]
            total = total.scatter_add(2, place[:, None].expand_as(both), both * share)
    total = total.view(batch, channels + 1, height, width)
    return total[:, :-1], total[:, -1:]


def reversed_flows(flow01: Tensor, flow10: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
    """The flows from a time in between back to frames 0 and 1, by complementary flow reversal.

        f01, n0 = splat(F01, T F01),   f10, n1 = splat(F10, (1 - T) F10),   n = (1 - T) n0 + T n1
        F_t0 = (-(1 - T) T f01 + T^2 f10) / n,   F_t1 = ((1 - T)^2 f01 - T (1 - T) f10) / n

    `flow01`, `flow10`: between the frames, (B, 2, H, W). `time`: T in [0, 1] of each pixel, (B or 1, 1, H or 1, W or 1). 0 where nothing arrives.

    Sim, Oh & Kim, ICCV 2021, arXiv:2103.16206
    """
    f01, n0 = splat(flow01, time * flow01)
    f10, n1 = splat(flow10, (1 - time) * flow10)
    n = (1 - time) * n0 + time * n1
    there = n > 0
    n = torch.where(there, n, torch.ones_like(n))
    t0 = time * (time * f10 - (1 - time) * f01) / n
    t1 = (1 - time) * ((1 - time) * f01 - time * f10) / n
    return torch.where(there, t0, torch.zeros_like(t0)), torch.where(there, t1, torch.zeros_like(t1))


def between(x0: Tensor, x1: Tensor, flow01: Tensor, flow10: Tensor, time: Tensor) -> Tensor:
    """What is seen between two frames, each pixel at its own time: (1 - T) warp(x0, F_t0) + T warp(x1, F_t1).

    With the times of the rows of a rolling shutter it is what that camera sees.
    """
    t0, t1 = reversed_flows(flow01, flow10, time)
    return (1 - time) * backward_warp(x0, t0) + time * backward_warp(x1, t1)
