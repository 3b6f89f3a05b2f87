"""What methods share that learn anew, round by round, from labels that they give the data in between."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ipse.data import Samples
from ipse.models import Classifier
from ipse.training import Batch, Taught
from ipse.training.method import Data
from ipse.transforms import Sees
from ipse.transforms.places import shown


class InRounds(Taught):
    """Learns in rounds, each from the weights that the run began with; `labels` are those of the present round, (N,)."""

    restarts = True
    given: Tensor
    labels: Tensor
    round: Tensor

    def __init__(self, model: Classifier):
        super().__init__(model)
        self.register_buffer("round", torch.zeros((), dtype=torch.int64))

    def prepare(self, samples: Samples) -> None:
        self.register_buffer("given", torch.from_numpy(samples.y))
        self.register_buffer("labels", torch.from_numpy(samples.y).clone())
        # What is in a part of the method has a dot in its name; what is known of the samples has none.
        self._start = {name: x.clone() for name, x in self.state_dict().items() if "." in name}

    def lesson(self) -> tuple[Sees, Tensor | None]:
        return self.sees, self.labels

    def before_round(self, round: int, data: Data) -> None:
        if round > 0:
            self.relabel(round, data)
            self.load_state_dict(self._start, strict=False)
        self.round.fill_(round)

    def relabel(self, round: int, data: Data) -> None:
        """Looks at the data with what the last round has learned, and keeps what the next one needs of it."""
        raise NotImplementedError

    def done(self, batch: Batch) -> float:
        """The share of the present round that is done when this step is, from 0 to 1."""
        return min(1.0, (batch.step + 1) / max(batch.steps, 1) * self.rounds - int(self.round))


def no_labels(samples: Samples) -> Tensor:
    """A label of -1 for every sample, int64 (N,), or where masks name pixels for every pixel of the views, int16 (N, S, S)."""
    if samples.masks is None:
        return torch.full((len(samples),), -1)
    size = samples.form["size"]
    return torch.full((len(samples), size, size), -1, dtype=torch.int16)


def remembered(labels: Tensor, batch: Batch) -> Tensor:
    """The labels of the samples of a batch, int64 (b,), of those of all, (N,); of pixels, (N, S, S), as the first view shows them."""
    own = labels[batch.index]
    return own if own.ndim == 1 else shown(own, batch.views[0])


def predicted(model: nn.Module, data: Data) -> Tensor:
    """What a model makes of every sample as it is: (N, ...) float32, on the CPU."""
    return looked_at(data, model, then=lambda scores: scores)


@torch.no_grad()
def looked_at(data: Data, *models: nn.Module, then: Callable[..., Tensor]) -> Tensor:
    """What becomes of the scores (b, K, ...) that models give every sample as it is, piece by piece: `then` of them, (N, ...), on the CPU."""
    training = [model.training for model in models]
    for model in models:
        model.eval()
    every = torch.cat([then(*(model(x).float().cpu() for model in models)) for _, x in data.everything()])
    for model, before in zip(models, training, strict=True):
        model.train(before)
    return every
