"""Statistics across processes: identities in one process, differentiable in many.

The gradients of a loss that every process computes on gathered tensors add up over processes, and the data-parallel wrapper averages them;
with these two rules a run on many processes follows the same path as one process that sees the whole batch.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """The number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The position of this process among those that train together."""
    return dist.get_rank() if world_size() > 1 else 0


def gather(x: Tensor) -> Tensor:
    """Concatenates `x` (b, ...) of all processes along the batch: (world * b, ...), in the order of the global batch."""
    return _Gather.apply(x) if world_size() > 1 else x  # type: ignore[no-untyped-call, no-any-return]


def all_mean(x: Tensor) -> Tensor:
    """Averages `x` over processes: same shape."""
    return _AllMean.apply(x) if world_size() > 1 else x  # type: ignore[no-untyped-call, no-any-return]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        grad = grad.contiguous()
        dist.all_reduce(grad)
        return grad.chunk(world_size())[rank()]


class _AllMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _mean(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _mean(grad)


def _mean(x: Tensor) -> Tensor:
    x = x.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(x)
    return x / world_size()
