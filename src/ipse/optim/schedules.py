"""Learning-rate schedules: builders of pure functions from the step, counted from 0, to a factor of the peak learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable

from ipse.errors import UserError

Schedule = Callable[[int], float]


def cosine(total: int, warmup: int, final: float = 0.0) -> Schedule:
    """Warms up linearly over `warmup` steps, then follows half a cosine from 1 down to `final` at step `total`.

    >>> [round(cosine(total=6, warmup=2)(step), 2) for step in range(7)]
    [0.0, 0.5, 1.0, 0.85, 0.5, 0.15, 0.0]
    """
    _fits(total, warmup)

    def factor(step: int) -> float:
        if step < warmup:
            return _warm(step, warmup)
        return _half_cosine(1.0, final, _share(step - warmup, total - warmup))

    return factor


def constant(total: int, warmup: int) -> Schedule:
    """Warms up linearly over `warmup` steps, then stays at 1.

    >>> [constant(total=6, warmup=2)(step) for step in range(4)]
    [0.0, 0.5, 1.0, 1.0]
    """
    _fits(total, warmup)
    return lambda step: _warm(step, warmup)


def infinite(
    total: int,
    warmup: int,
    *,
    cooldown: int | None = None,
    anneal: int | None = None,
    constant: float = 0.3,
    final: float = 0.01,
    inverse_sqrt: float | None = None,
) -> Schedule:
    """Cools down to a plateau that may last as long as data keeps coming, and anneals at the very end.

        warm-up     0 <= n < w               n / w
        cool-down   w <= n < w + c           half a cosine from 1 to `constant`
        plateau     w + c <= n < total - a   `constant`
        annealing   total - a <= n <= total  constant (final / constant)^((n - (total - a)) / a)

    Until the annealing starts, a run may be prolonged by a schedule with a larger `total` and the same `warmup` w and
    `cooldown` c: both agree so far. By default c is a quarter and a = `anneal` a tenth of `total`, less where the warm-up
    leaves no room. `constant` is the paper's main knob, best between 0.1 and 0.5; 1 gives warm-up, stable, decay. With
    `inverse_sqrt` = s > 0 the cool-down falls like an inverse square root, the faster at first the larger s:

        1 + (constant - 1) h(u) / h(1),   h(u) = 1 / sqrt(1 + s u) - 1,   u = (n - w) / c

    Singh et al., CoLLAs 2025, arXiv:2503.02844

    >>> rate = infinite(total=100, warmup=10, cooldown=20, anneal=10, constant=0.4, final=0.1)
    >>> [round(rate(step), 3) for step in (0, 5, 10, 20, 30, 60, 90, 95, 100)]
    [0.0, 0.5, 1.0, 0.7, 0.4, 0.4, 0.4, 0.2, 0.1]
    """
    _fits(total, warmup)
    if not 0 < final <= constant <= 1:
        raise UserError(f"the infinite schedule needs 0 < final <= constant <= 1, given final={final}, constant={constant}")
    if inverse_sqrt is not None and not inverse_sqrt > 0:
        raise UserError(f"inverse_sqrt must be more than 0, given {inverse_sqrt}")
    anneal = min(total // 10, total - warmup) if anneal is None else anneal
    cooldown = max(0, min(total // 4, total - warmup - anneal)) if cooldown is None else cooldown
    if warmup + cooldown + anneal > total:
        raise UserError(
            f"warm-up, cool-down and annealing ({warmup} + {cooldown} + {anneal} steps) are longer than the run ({total} steps)"
        )

    def factor(step: int) -> float:
        if step < warmup:
            return _warm(step, warmup)
        if step < warmup + cooldown:
            share = _share(step - warmup, cooldown)
            return _half_cosine(1.0, constant, share) if inverse_sqrt is None else _root(constant, share, inverse_sqrt)
        if step < total - anneal:
            return constant
        return float(constant * (final / constant) ** _share(step - (total - anneal), anneal))

    return factor


def _fits(total: int, warmup: int) -> None:
    if warmup > total:
        raise UserError(f"the warm-up ({warmup} steps) is longer than the run ({total} steps)")


def _warm(step: int, warmup: int) -> float:
    return min(1.0, step / warmup) if warmup else 1.0


def _share(done: int, length: int) -> float:
    return min(1.0, done / length) if length else 1.0


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _root(end: float, share: float, sharpness: float) -> float:
    """From 1 to `end` along an inverse square root."""
    fallen = (1 / math.sqrt(1 + sharpness * share) - 1) / (1 / math.sqrt(1 + sharpness) - 1)
    return 1 + (end - 1) * fallen
