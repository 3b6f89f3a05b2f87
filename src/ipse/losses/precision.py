"""Keeps the sensitive arithmetic of losses and regularizers out of half precision."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def full_precision(function: Callable[P, R]) -> Callable[P, R]:
    """Runs a function of tensors outside autocast, with its fp16 and bf16 tensors promoted to fp32."""

    @functools.wraps(function)
    def promoted(*args: P.args, **kwargs: P.kwargs) -> R:
        device = next(_tensors((*args, *kwargs.values()))).device
        with torch.autocast(device.type, enabled=False):
            return function(*map(_promote, args), **{name: _promote(value) for name, value in kwargs.items()})  # type: ignore[arg-type]

    return promoted


def _promote(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_promote(each) for each in value]
    half = isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16)
    return value.float() if half else value


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)
