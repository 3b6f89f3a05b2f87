"""Random numbers as a function of where they are used: (seed, step, name, position in the global batch).

A counter-based generator needs no state: any process, on any device, computes the numbers of its own samples and they are the
same numbers that one process would have drawn for the whole batch. The mixer is `lowbias32` (Wellons, 2018), applied in turn to
every part of the key.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF


def _mix(x: Tensor) -> Tensor:
    x = x ^ (x >> 16)
    x = (x * 0x7FEB352D) & _MASK
    x = x ^ (x >> 15)
    x = (x * 0x846CA68B) & _MASK  # the 64-bit product may wrap; its low 32 bits are right all the same
    return x ^ (x >> 16)


@contextmanager
def deterministic() -> Iterator[None]:
    """Lets torch take algorithms that give the same bits every time, where it has them, and puts back what was set before."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def key(*parts: int | str) -> int:
    """Hashes the parts of a key (a seed, a step, a name) to 32 bits."""
    return zlib.crc32("\0".join(map(str, parts)).encode())


def bits(key: int, position: Tensor, n: int) -> Tensor:
    """Random 32-bit integers (B, n) for the int64 positions (B,) of samples."""
    row = _mix((position & _MASK) ^ key)
    row = _mix(row ^ (position >> 32) ^ 0x9E3779B9)
    column = _mix(torch.arange(n, device=position.device) + (key ^ 0x85EBCA6B))
    return _mix(row[:, None] ^ column[None, :])


def uniform(key: int, position: Tensor, n: int) -> Tensor:
    """Uniform floats (B, n) in [0, 1) for the int64 positions (B,) of samples."""
    return (bits(key, position, n) >> 8).float() * 2.0**-24


def normal(key: int, position: Tensor, n: int) -> Tensor:
    """Standard normal floats (B, n) by the Box-Muller transform."""
    u = uniform(key, position, 2 * n)
    return torch.sqrt(-2 * torch.log1p(-u[:, :n])) * torch.cos(2 * math.pi * u[:, n:])


def shuffled(position: Tensor, n: int, key: int) -> Tensor:
    """Where a random permutation of 0..n-1 sends `position`, in memory that does not grow with n.

    A short permutation is sorted out once. A long one is a Feistel network over the smallest power of two that holds n; positions
    that land outside walk on until they are inside.
    """
    if n <= _SHORT:
        return _order(n, key, position.device)[position]
    high, low = (n - 1).bit_length() // 2, (n - 1).bit_length() - (n - 1).bit_length() // 2
    rounds = bits(key, torch.arange(6), 1)[:, 0].tolist()

    def feistel(x: Tensor) -> Tensor:
        left, right = x >> low, x & ((1 << low) - 1)
        for i, turn in enumerate(rounds):
            left, right = right, left ^ (_mix(right ^ turn) & ((1 << (low if i % 2 else high)) - 1))
        return (left << low) | right

    x = feistel(position)
    while bool((outside := x >= n).any()):
        x = torch.where(outside, feistel(x), x)
    return x


_SHORT = 1 << 16


@lru_cache(maxsize=4)
def _order(n: int, key: int, device: torch.device) -> Tensor:
    return bits(key, torch.arange(n, device=device), 1)[:, 0].argsort()
