"""What methods share that learn anew, round by round, from labels that they give the data in between."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ipse.data import Samples
from ipse.models import Classifier
from ipse.training import Batch, Taught
from ipse.training.method import Data
from ipse.transforms import Sees


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


@torch.no_grad()
def predicted(model: nn.Module, data: Data) -> Tensor:
    """What a model makes of every sample as it is: (N, ...) float32, on the CPU."""
    training = model.training
    model.eval()
    every = torch.cat([model(x).float().cpu() for _, x in data.everything()])
    model.train(training)
    return every
