"""From stored samples to embeddings."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ipse.data import Images
from ipse.models import Encoder
from ipse.transforms import original


@torch.no_grad()
def embeddings(
    encoder: Encoder, images: Images, size: int, *, batch_size: int = 512, progress: Callable[[int, int], None] | None = None
) -> Tensor:
    """What an encoder makes of every sample, seen whole: (N, dim) float32 on the CPU. The encoder's mode is left as it was."""
    training, device = encoder.training, next(encoder.parameters()).device
    encoder.eval()
    out = torch.empty(len(images), encoder.dim)
    for start in range(0, len(images), batch_size):
        index = torch.arange(start, min(start + batch_size, len(images)))
        aspect = torch.as_tensor(images.aspect[index.numpy()], device=device)
        view = original(images.gather(index).to(device), aspect, size)
        out[start : start + batch_size] = encoder(view.x).float().cpu()
        if progress:
            progress(start + len(index), len(images))
    encoder.train(training)
    return out
