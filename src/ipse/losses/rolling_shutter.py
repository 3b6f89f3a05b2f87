"""Losses that distort a restored picture again and compare it with the distorted one."""

from __future__ import annotations

import torch
from torch import Tensor

from ipse.losses.precision import full_precision
from ipse.models.warp import between


@full_precision
def charbonnier(x: Tensor, target: Tensor, eps: float = 1e-9) -> Tensor:
    """A smooth absolute difference.

        L = mean sqrt((x - target)^2 + eps)

    Charbonnier et al., ICIP 1994

    >>> round(charbonnier(torch.tensor([3.0]), torch.tensor([0.0]), eps=16.0).item(), 4)
    5.0
    """
    return ((x - target).square() + eps).sqrt().mean()


@full_precision
def flow_variation(flow: Tensor) -> Tensor:
    """How much a flow (B, 2, H, W) changes from pixel to pixel: the mean square of its central differences, both ways."""
    dx, dy = (flow[..., 2:] - flow[..., :-2]) / 2, (flow[..., 2:, :] - flow[..., :-2, :]) / 2
    return sum((d.square().mean() for d in (dx, dy) if d.numel()), flow.new_zeros(()))


def redistorted(g0: Tensor, g1: Tensor, flow01: Tensor, flow10: Tensor, time: Tensor) -> Tensor:
    """The rolling-shutter picture that frames g0 and g1 (B, C, H, W), at the ends of the readout, say there was.

        RS(y) = (1 - T) warp(g0, F_t0) + T warp(g1, F_t1),   T the time of row y

    `flow01`, `flow10`: between the frames. `time`: (B or 1, 1, H, 1), 0 to 1 from the top or from the bottom.

    Shang et al., ICCV 2023, arXiv:2305.19862
    """
    return between(g0, g1, flow01, flow10, time)


def redistorted_via(
    frames: tuple[Tensor, Tensor, Tensor],
    flows: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]],
    time: Tensor,
    middle: Tensor,
) -> Tensor:
    """The same through a frame in between: rows before it from the first two frames, rows after it from the last two.

        T' = T / s where T < s,   (T - s) / (1 - s) elsewhere

    `frames`: g0, gs, g1. `flows`: (F0s, Fs0), (Fs1, F1s). `middle`: s in (0, 1), (B or 1, 1, 1, 1).
    """
    g0, gs, g1 = frames
    early = between(g0, gs, *flows[0], (time / middle).clamp(0, 1))
    late = between(gs, g1, *flows[1], ((time - middle) / (1 - middle)).clamp(0, 1))
    return torch.where(time < middle, early, late)
