"""From stored samples to embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ipse.data import Samples
from ipse.models import Encoder
from ipse.transforms import viewer


@torch.no_grad()
def embeddings(
    encoder: Encoder, samples: Samples, *, batch_size: int = 512, progress: Callable[[int, int], None] | None = None
) -> Tensor:
    """What an encoder makes of every sample, seen whole: (N, dim) float32 on the CPU. The encoder's mode is left as it was."""
    training = encoder.training
    encoder.eval()
    out = torch.empty(len(samples), encoder.dim)
    for index, x in originals(encoder, samples, batch_size):
        out[index] = encoder(x).float().cpu()
        if progress:
            progress(int(index[-1]) + 1, len(samples))
    encoder.train(training)
    return out


def originals(encoder: Encoder, samples: Samples, batch_size: int = 256) -> Iterator[tuple[Tensor, Tensor]]:
    """All samples in pieces, as an encoder is to see them whole and where it is: their places (b,) and x (b, ...)."""
    device = next((p.device for p in encoder.parameters()), torch.device("cpu"))
    eye = viewer(encoder.form)
    for index in torch.arange(len(samples)).split(batch_size):
        raw = {name: value.to(device) for name, value in samples.read(index).items()}
        yield index, eye.original(raw).x
