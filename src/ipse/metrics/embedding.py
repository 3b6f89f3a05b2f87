"""From stored samples to embeddings."""

from __future__ import annotations

from collections.abc import Callable

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
    training, device = encoder.training, next(encoder.parameters()).device
    encoder.eval()
    eye = viewer(encoder.form)
    out = torch.empty(len(samples), encoder.dim)
    for index in torch.arange(len(samples)).split(batch_size):
        raw = {name: value.to(device) for name, value in samples.read(index).items()}
        out[index] = encoder(eye.original(raw).x).float().cpu()
        if progress:
            progress(int(index[-1]) + 1, len(samples))
    encoder.train(training)
    return out
