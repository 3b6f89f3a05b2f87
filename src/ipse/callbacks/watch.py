"""Numbers about the embeddings, taken while an encoder learns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ipse.data import Samples, holdout
from ipse.errors import UserError
from ipse.metrics.embedding import embeddings
from ipse.metrics.neighbours import knn_accuracy

Number = Callable[[Tensor], float]

RECORDS = 2000  # per run: a step is recorded when it is a multiple of steps // RECORDS


class Watch:
    """Embeds the same `most` samples about `times` times in a run and adds `watch/NAME` for every function to the record.

    None in place of a function stands for the accuracy of nearest neighbours among them: 30 percent, class by class, ask the
    others. Raises UserError where there are no labels for it.
    """

    def __init__(self, functions: Mapping[str, Number | None], samples: Samples, *, most: int = 1024, times: int = 20):
        self.functions, self.times = functions, times
        self.samples = samples.subset(samples.spread(most))
        self.y = torch.as_tensor(self.samples.y)
        bank, asking = (torch.as_tensor(part) for part in holdout(self.samples, 0.3, seed=1))
        self.bank, self.asking = bank[self.y[bank] >= 0], asking[self.y[asking] >= 0]
        if None in functions.values() and not (len(self.bank) and len(self.asking)):
            raise UserError("--watch knn: needs labels, at least two of a class")

    def start(self, steps: int, first: int) -> None:
        recorded = max(1, steps // RECORDS)
        self.every, self.last = recorded * math.ceil(steps / self.times / recorded), steps - 1

    def record(self, method: nn.Module, record: dict[str, Any]) -> None:
        if record["step"] % self.every and record["step"] != self.last:
            return
        encoder: Any = method.encoder
        z = embeddings(encoder, self.samples)
        for name, function in self.functions.items():
            record[f"watch/{name}"] = self._knn(z) if function is None else float(function(z))

    def _knn(self, z: Tensor) -> float:
        return knn_accuracy(z[self.bank], self.y[self.bank], z[self.asking], self.y[self.asking])

    def event(self, step: int, text: str) -> None:
        pass

    def close(self) -> None:
        pass
