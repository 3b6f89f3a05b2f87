"""Numbers about the embeddings, taken while an encoder learns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ipse.data import Images, holdout
from ipse.metrics.embedding import embeddings
from ipse.metrics.neighbours import knn_accuracy

Number = Callable[[Tensor], float]


class Watch:
    """Embeds the same `samples` samples `times` times in a run and adds `watch/NAME` for every function to the record.

    `knn` stands for the accuracy of nearest neighbours among them, where there are labels.
    """

    def __init__(
        self, functions: Mapping[str, Number | None], images: Images, size: int, *, samples: int = 1024, times: int = 20
    ):
        self.functions, self.size, self.times = functions, size, times
        _, index = holdout(images, min(1.0, samples / len(images)), seed=0)
        self.images = images.subset(index)

    def start(self, steps: int, first: int) -> None:
        self.every, self.last = max(1, steps // self.times), steps - 1

    def record(self, method: nn.Module, record: dict[str, Any]) -> None:
        if record["step"] % self.every and record["step"] != self.last:
            return
        encoder: Any = method.encoder
        z = embeddings(encoder, self.images, self.size)
        for name, function in self.functions.items():
            record[f"watch/{name}"] = self._knn(z) if function is None else float(function(z))

    def _knn(self, z: Tensor) -> float:
        y = torch.as_tensor(self.images.y)
        train, test = (torch.as_tensor(i) for i in holdout(self.images, 0.3, seed=1))
        train, test = train[y[train] >= 0], test[y[test] >= 0]
        return float(knn_accuracy(z[train], y[train], z[test], y[test]))

    def event(self, step: int, text: str) -> None:
        pass

    def close(self) -> None:
        pass
