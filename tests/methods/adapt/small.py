"""A small classifier with written-down weights, for comparisons with the authors' code."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Net(nn.Module):
    """Two convolutions with batch normalisation, the mean over places, a linear layer: (B, 3, 8, 8) to (B, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Conv2d(6, 8, 3, padding=1, stride=2),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(8, 4)
        fill(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x))


@torch.no_grad()
def fill(module: nn.Module) -> nn.Module:
    """Weights by a formula, so that any version of torch has the same."""
    for i, p in enumerate(module.parameters()):
        wave = torch.sin(torch.arange(p.numel(), dtype=torch.float64) * 1.7 + i)
        p.copy_((wave * (0.5 if p.ndim > 1 else 0.2) + (p.ndim == 1)).view_as(p))
    return module


def pictures(n: int = 6, start: int = 0) -> Tensor:
    """Pictures (n, 3, 8, 8) in [-1, 1] by a formula."""
    place = torch.arange(n * 192, dtype=torch.float64) + 192 * start
    return torch.sin(place * 0.37 + torch.sin(place * 0.011) * 3).float().view(n, 3, 8, 8)


def mirrored(x: Tensor) -> Tensor:
    """A fixed view."""
    return 0.9 * x.flip(3)
