"""Batch normalisation whose statistics are those of the global batch."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ipse.distributed import all_mean, world_size

Module = TypeVar("Module", bound=nn.Module)


class BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Normalises each channel over the global batch and all places: (B, C, ...) to the same shape, on any device.

    In one process it is torch's own kernel; in many the means and variances are averaged with gradients, so that training takes
    the same path.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"expected (B, C, ...), got {tuple(input.shape)}")

    def forward(self, input: Tensor) -> Tensor:
        remembered = not self.training and self.running_mean is not None
        if remembered or world_size() == 1:
            return super().forward(input)
        x = input.float()
        dims = [0, *range(2, x.dim())]
        shape = [1, -1] + [1] * (x.dim() - 2)
        mean = all_mean(x.mean(dims))
        centred = x - mean.view(shape)
        variance = all_mean((centred**2).mean(dims))
        if self.training and self.track_running_stats:
            n = world_size() * x.numel() // x.shape[1]
            self._remember(mean.detach(), variance.detach() * n / max(n - 1, 1))
        y = centred * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            y = y * self.weight.view(shape) + self.bias.view(shape)
        return y.to(input.dtype)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Moves the running statistics towards those of a batch, whose unbiased variance this is."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = 1 / self.num_batches_tracked.float() if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class TokenNorm(BatchNorm):
    """Normalises each feature over the valid tokens of all samples, of all processes: (B, N, D) and bool (B, N)."""

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:  # type: ignore[override]
        if not self.training:
            return super().forward(x.flatten(0, 1)).view_as(x)
        weight = valid[..., None].float()
        n = all_mean(weight.sum()).clamp_min(1e-6)
        mean = all_mean((x.float() * weight).sum(dim=(0, 1))) / n
        centred = x.float() - mean
        variance = all_mean((centred.square() * weight).sum(dim=(0, 1))) / n
        self._remember(mean.detach(), (variance * n / (n - 1 / world_size()).clamp_min(1e-6)).detach())
        return (centred * torch.rsqrt(variance + self.eps) * self.weight + self.bias).to(x.dtype)


class _Activated(BatchNorm):
    """timm's batch normalisation with an activation in the same module."""

    drop: nn.Module
    act: nn.Module

    def forward(self, input: Tensor) -> Tensor:
        out: Tensor = self.act(self.drop(super().forward(input)))
        return out


def synchronised(module: Module) -> Module:
    """Lets every batch normalisation of `module`, torch's or timm's, see the global batch; its tensors stay the same."""
    from timm.layers.norm_act import BatchNormAct2d

    global_kind = {nn.BatchNorm1d: BatchNorm, nn.BatchNorm2d: BatchNorm, nn.BatchNorm3d: BatchNorm, BatchNormAct2d: _Activated}
    for child in module.modules():
        child.__class__ = global_kind.get(type(child), type(child))
    return module


def layer_norm(x: Tensor) -> Tensor:
    """Normalises the last dimension without parameters."""
    return F.layer_norm(x, x.shape[-1:])
