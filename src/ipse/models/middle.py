"""What an encoder knows half-way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ipse.errors import UserError
from ipse.models.encoder import Encoder

_OVER_CHANNELS = (nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm, nn.GroupNorm)


class Middle:
    """Sees what the block `share` of the way through an encoder gives, whichever encoder it is.

    Of the outermost parts that run one after the other (residual blocks, transformer layers) it is the last within that share of
    all layers with weights: stage 3 of 4 of a ResNet, block 9 of 12 of a vision transformer. `x` (b, ...): samples to try it on.
    `width`: of the features. Raises UserError for an encoder that is all of one piece.
    """

    def __init__(self, encoder: Encoder, x: Tensor, share: float = 0.75):
        self._seen: Tensor | None = None
        total = _layers(encoder)
        ran: list[nn.Module] = []
        hooks = [part.register_forward_hook(lambda part, *_: ran.append(part)) for part in _parts(encoder, total / 2)]
        self._look(encoder, x)
        for hook in hooks:
            hook.remove()
        done, early = 0, []
        for part in dict.fromkeys(ran):
            done += _layers(part)
            if done <= share * total:
                early.append(part)
        if not early:
            raise UserError(f"encoder {encoder.name!r} is all of one piece and shows no features from its middle: take another")
        self.part = next((part for part in reversed(early) if _layers(part) > 1), early[-1])
        self.part.register_forward_hook(self._keep)
        self._look(encoder, x)
        self.width = self.features(len(x)).shape[1]

    def features(self, n: int) -> Tensor:
        """The features (n, width) of the n samples that the encoder saw last, means over all places."""
        assert self._seen is not None, "the encoder has seen nothing since"
        h, self._seen = self._seen, None
        return h.reshape(n, -1, h.shape[-1]).mean(1)

    def _keep(self, part: nn.Module, given: Any, out: Any) -> None:
        h: Tensor = out[0] if isinstance(out, tuple) else out
        last = [m for m in part.modules() if any(True for _ in m.parameters(recurse=False))][-1]
        over = range(2, h.dim()) if isinstance(last, _OVER_CHANNELS) else range(1, h.dim() - 1)
        self._seen = h.mean(tuple(over)) if over else h

    @staticmethod
    @torch.no_grad()
    def _look(encoder: Encoder, x: Tensor) -> None:
        training = encoder.training
        encoder.eval()(x)
        encoder.train(training)


def _layers(module: nn.Module) -> int:
    """How many parts have weights of their own."""
    return sum(any(True for _ in m.parameters(recurse=False)) for m in module.modules())


def _parts(module: nn.Module, most: float) -> Iterator[nn.Module]:
    """The outermost parts that hold at most so many layers; containers are opened."""
    for child in module.children():
        if _layers(child) > most or isinstance(child, (nn.Sequential, nn.ModuleList)):
            yield from _parts(child, most)
        elif _layers(child):
            yield child
