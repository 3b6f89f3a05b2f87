"""A model that is used as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Frozen(nn.Module):
    """A model that only answers: in evaluation mode whatever happens around it, without gradients, and no part of a run's state.

    What else is asked of it, such as `features` or `classes`, is asked of `model`.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self._kept = (model.requires_grad_(False).eval(),)  # in a tuple, where torch does not look for parts

    @property
    def model(self) -> nn.Module:
        return self._kept[0]

    @torch.no_grad()
    def forward(self, *args: Any) -> Tensor:
        result: Tensor = self.model(*args)
        return result

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "_kept":
                raise
            return getattr(self.model, name)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Frozen:
        self.model._apply(fn, recurse)
        super()._apply(fn, recurse)
        return self
