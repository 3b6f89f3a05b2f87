"""Signals that are made when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import overload

from torch import Tensor


class Lazy(Sequence[Tensor]):
    """n signals, which `make(i)` reads or computes when they are asked for; a few of the last are kept in memory.

    >>> import torch
    >>> squares = Lazy(3, lambda i: torch.tensor(i * i))
    >>> squares[-1].item(), len(squares[1:])
    (4, 2)
    """

    def __init__(self, n: int, make: Callable[[int], Tensor]):
        self._n, self._make = n, lru_cache(maxsize=4)(make)

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, i: int) -> Tensor: ...
    @overload
    def __getitem__(self, i: slice) -> list[Tensor]: ...
    def __getitem__(self, i: int | slice) -> Tensor | list[Tensor]:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        if not -len(self) <= i < len(self):
            raise IndexError(i)
        return self._make(i % len(self))
