"""Parts of a classifier that adapters look for: its normalisation, the head at its end, the modality it is for."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ipse.errors import UserError

BATCH_NORMS = nn.modules.batchnorm._BatchNorm
NORMS = (BATCH_NORMS, nn.LayerNorm, nn.GroupNorm, nn.modules.instancenorm._InstanceNorm)


def batch_norms(model: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """Its batch normalisations."""
    return [module for module in model.modules() if isinstance(module, BATCH_NORMS)]


def use_batch_statistics(model: nn.Module, prior: float = 0.0) -> int:
    """Lets batch normalisation see the statistics of the batch in every mode, and gives the number of layers that do.

        mean = (N source + n batch) / (N + n),        of the variance alike

    N = `prior` is how many values' worth of trust the statistics of the source get against those of a batch of n samples. Where a
    batch has one value only, which has no variance, those of the source are used alone.

    Schneider et al., NeurIPS 2020, arXiv:2006.16971; Nado et al., 2020, arXiv:2006.10963 (N = 0)
    """
    layers = batch_norms(model)
    for layer in layers:
        layer.prior = prior  # type: ignore[assignment]
        if len(inspect.signature(type(layer).forward).parameters) > 2:  # it reads more than x, such as which tokens are valid
            layer.training, layer.momentum = True, 0.0
            layer.__class__ = _always_training(type(layer))  # type: ignore[assignment, arg-type]
        else:
            layer.__class__ = _Activated if hasattr(layer, "act") else _Statistics
    return len(layers)


@cache
def _always_training(kind: type[nn.Module]) -> type[nn.Module]:
    """The same kind of layer, which no call of `eval` puts out of training mode."""
    return type(kind.__name__, (kind,), {"train": lambda self, mode=True: self})


class _Statistics(BATCH_NORMS):
    """A batch normalisation with the statistics of the batch."""

    prior: float

    def forward(self, input: Tensor) -> Tensor:
        mean, variance = self.running_mean, self.running_var
        if mean is None or variance is None:
            return F.batch_norm(input, None, None, self.weight, self.bias, True, 0.0, self.eps)
        if input.numel() // input.shape[1] < 2:
            return F.batch_norm(input, mean, variance, self.weight, self.bias, False, 0.0, self.eps)
        if not self.prior:
            return F.batch_norm(input, None, None, self.weight, self.bias, True, 0.0, self.eps)
        axes, shape = [0, *range(2, input.dim())], [1, -1] + [1] * (input.dim() - 2)
        share = self.prior / (self.prior + len(input))
        mean = share * mean + (1 - share) * input.mean(axes)
        variance = share * variance + (1 - share) * input.var(axes, unbiased=False)
        y = (input - mean.view(shape)) * torch.rsqrt(variance + self.eps).view(shape)
        return y if self.weight is None else y * self.weight.view(shape) + self.bias.view(shape)


class _Activated(_Statistics):
    """timm's batch normalisation with an activation in the same module."""

    drop: nn.Module
    act: nn.Module

    def forward(self, input: Tensor) -> Tensor:
        out: Tensor = self.act(self.drop(super().forward(input)))
        return out


def scale_and_shift(model: nn.Module) -> dict[str, nn.Parameter]:
    """The scale and shift of its normalisations by name; raises UserError where there are none."""
    found = {
        f"{name}.{word}": parameter
        for name, module in model.named_modules()
        if isinstance(module, NORMS)
        for word, parameter in module.named_parameters(recurse=False)
    }
    if not found:
        raise UserError(
            "the model has no normalisation with a scale and a shift, which is all that this method moves: take rmt-tta, which moves every weight"
        )
    return found


def head_of(model: nn.Module) -> nn.Linear:
    """The linear layer at its end: `head` of a classifier of ours, timm's classifier, else the last one in it; UserError where there is none."""
    named = getattr(model, "head", None)
    if isinstance(named, nn.Linear):
        return named
    timms = getattr(model, "get_classifier", None)
    if timms is not None and isinstance(timms(), nn.Linear):
        return timms()  # type: ignore[no-any-return]
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise UserError("the model has no linear layer at its end, whose input would be its features")
    return linear[-1]


def features_and_logits(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """What its head reads (B, D) and what the model gives (B, K), in one pass."""
    read: list[Tensor] = []
    handle = head_of(model).register_forward_pre_hook(lambda module, inputs: read.append(inputs[0]))
    try:
        logits = model(x)
    finally:
        handle.remove()
    if not read:
        raise UserError("the linear layer at the end of the model is not used when it runs: its features cannot be read")
    return read[-1].flatten(1), logits


@contextmanager
def norm_inputs(model: nn.Module) -> Iterator[list[Tensor]]:
    """What its normalisations read while the block runs, in the order they run."""
    read: list[Tensor] = []
    handles = [
        module.register_forward_pre_hook(lambda module, inputs: read.append(inputs[0]))
        for module in model.modules()
        if isinstance(module, (*NORMS,))
    ]
    try:
        yield read
    finally:
        for handle in handles:
            handle.remove()


def modality_of(model: nn.Module, x: Tensor) -> str:
    """What the samples are: as the model's form says, else by their shape (pictures have four axes, series three)."""
    form = getattr(model, "form", None)
    if form is not None:
        return str(form["modality"])
    return {4: "image", 3: "series"}.get(x.dim(), "table")
