"""What the layers of a frozen encoder of speech hold, and linear heads that read them.

The encoder's part is done once: for what concerns whole clips each layer is kept as its mean over time, since that mean and a
weighted sum of layers may be taken in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ipse.data import Form, Samples
from ipse.metrics.embedding import originals
from ipse.models.mel import Mel
from ipse.models.speech import FrameEncoder
from ipse.models.tokens import mean_of

_RATES = (1e-3, 1e-2, 1e-1)


class FilterBank(FrameEncoder):
    """Log-mel frames with nothing learned: what every encoder should be better than."""

    name = "filter_bank"

    def __init__(self, form: Form, n_mels: int = 80):
        super().__init__()
        self.form, self.dim, self.mel = form, n_mels, Mel(n_mels, form["rate"])
        self.stride = self.mel.hop

    def dense(self, x: Tensor) -> Tensor:
        frames: Tensor = self.mel(x)[0].transpose(1, 2)
        return frames


@torch.no_grad()
def states(encoder: FrameEncoder, samples: Samples, batch_size: int = 16) -> Iterator[tuple[Tensor, Tensor]]:
    """What an encoder makes of samples in every layer, in pieces: (b, N, L, D) on the CPU, and which frames are of sound (b, N).

    Where there are several layers each is layer-normalised, so that none outweighs the others by its scale.
    """
    training = encoder.training
    encoder.eval()
    for _, x in originals(encoder, samples, batch_size):
        layers = torch.stack([layer.float() for layer in encoder.layers(x)], dim=2)
        if layers.shape[2] > 1:
            layers = F.layer_norm(layers, layers.shape[-1:])
        yield layers.cpu(), encoder.valid(x).cpu()
    encoder.train(training)


def pooled(encoder: FrameEncoder, samples: Samples) -> Tensor:
    """Every layer's mean over the frames of sound of each sample: (N, L, D)."""
    pieces = (mean_of(layers.flatten(2), valid).unflatten(1, layers.shape[2:]) for layers, valid in states(encoder, samples))
    return torch.cat(list(pieces))


class Probe(NamedTuple):
    """How well a task is solved from frozen layers, and the weight of each layer (L,), summing to 1.

    Weights tell what layers are worth only because all layers are brought to one scale.
    """

    score: float
    weights: Tensor


class WeightedSum(nn.Module):
    """The sum of layers (..., L, D) weighted by softmax(w): (..., D). It starts as their mean.

    >>> WeightedSum(2)(torch.tensor([[1.0], [3.0]])).item()
    2.0
    """

    def __init__(self, layers: int):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(layers))

    @property
    def weights(self) -> Tensor:
        return self.w.softmax(dim=0)

    def forward(self, layers: Tensor) -> Tensor:
        return torch.einsum("...ld,l->...d", layers, self.weights)


class Head(nn.Module):
    """A linear layer on the weighted sum of layers (..., L, D): (..., classes)."""

    def __init__(self, layers: int, width: int, classes: int, generator: torch.Generator):
        super().__init__()
        self.sum, self.linear = WeightedSum(layers), nn.Linear(width, classes)
        with torch.no_grad():
            self.linear.weight.normal_(0, width**-0.5, generator=generator)
            self.linear.bias.zero_()

    def forward(self, layers: Tensor) -> Tensor:
        out: Tensor = self.linear(self.sum(layers))
        return out


class Task(NamedTuple):
    """What heads are trained for: layers x (N, ..., L, D), and the loss and score (higher is better) of a head on some rows (n,)."""

    x: Tensor
    classes: int
    loss: Callable[[Head, Tensor], Tensor]
    score: Callable[[Head, Tensor], float]


def fitted(task: Task, *, steps: int, batch_size: int, seed: int) -> Head:
    """A head trained by Adam on all rows, at the learning rate that does best on a fifth of them when trained on the others."""
    n, (layers, width) = len(task.x), task.x.shape[-2:]

    def trained(rows: Tensor, rate: float) -> Head:
        generator = torch.Generator().manual_seed(seed)
        head = Head(layers, width, task.classes, generator)
        optimizer = torch.optim.Adam(head.parameters(), rate)
        for _ in range(steps):
            loss = task.loss(head, rows[torch.randperm(len(rows), generator=generator)[:batch_size]])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return head.requires_grad_(False)

    every = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    held, rest = every[: n // 5], every[n // 5 :]
    scores = [task.score(trained(rest, rate), held) if len(held) else 0.0 for rate in _RATES]
    return trained(every, _RATES[int(np.argmax(scores))])
