"""Which number format a run computes in."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import torch

from ipse.errors import UserError

FABRIC: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed"}


def choose(precision: str, device: torch.device | str) -> str:
    """`fp32` or `bf16`: what the user asked for, or for `auto` what this processor is faster with.

    Processors with bf16 units compute matrix products several times faster in it; on others it is emulated and slower.
    """
    if precision in FABRIC:
        return precision
    if precision != "auto":
        raise UserError(f"unknown precision {precision!r}: auto, fp32 or bf16")
    device = torch.device(device)
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if device.type == "cpu" and _has_units() and _gain() > 1.3 else "fp32"


def _has_units() -> bool:
    """Whether the processor has instructions for bf16; without them measuring is not worth the time."""
    check = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    tiles = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool((check and check()) or (tiles and tiles()))


@cache
def _gain(n: int = 1024, repeats: int = 5) -> float:
    """How many times faster a matrix product is in bf16: far above or far below one, so that the choice is the same at every start."""

    def seconds(dtype: torch.dtype) -> float:
        a = torch.ones(n, n, dtype=dtype)
        times = []
        for _ in range(repeats + 1):
            start = time.perf_counter()
            a @ a
            times.append(time.perf_counter() - start)
        return min(times[1:])

    return seconds(torch.float32) / seconds(torch.bfloat16)
