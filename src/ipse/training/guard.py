"""Catches a run that diverges."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from statistics import median


class Guard:
    """Says when a step must not be taken: the loss or the gradient is not finite, or the gradient is `limit` times its usual norm."""

    def __init__(self, limit: float = 1e3, memory: int = 100, patience: int = 20):
        self.limit, self.patience = limit, patience
        self.norms: deque[float] = deque(maxlen=memory)
        self.rollbacks = 0

    def objection(self, loss: float, norm: float) -> str | None:
        """What is wrong with a step of this loss and gradient norm; None if nothing is."""
        if not math.isfinite(loss):
            return f"the loss became {loss}"
        if not math.isfinite(norm):
            return f"the gradient became {norm}"
        if len(self.norms) >= self.patience and norm > self.limit * max(usual := median(self.norms), 1e-12):
            return f"the gradient's norm jumped to {norm:.3g}, usually {usual:.3g}"
        self.norms.append(norm)
        return None

    def memory(self) -> list[float]:
        return list(self.norms)

    def remember(self, norms: Iterable[float], rollbacks: int) -> None:
        self.norms.clear()
        self.norms.extend(norms)
        self.rollbacks = rollbacks
