"""Contrastive algorithms for windows of series whose representation keeps every step.

Zhang et al., 2023, arXiv:2306.12086
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ipse import randomness
from ipse.losses.hierarchical import hierarchical_contrast
from ipse.models import EMA

ALGORITHMS = ("H", "M", "M+H", "C")


class Contrast(nn.Module):
    """A contrastive algorithm with what it remembers: a slow copy of the backbone and its last keys.

    C's weight of the amplitudes and phases, the momentum and the size of the queue are those of the authors' code. There, the
    weight of H in M+H is 0.5 by name and 0 in effect; here it is 0.5.
    """

    queue: Tensor

    def __init__(
        self,
        algorithm: str,
        backbone: nn.Module,
        width: int,
        queue: int = 512,
        momentum: float = 0.999,
        temperature: float = 1.0,
    ):
        super().__init__()
        self.algorithm, self.momentum, self.temperature = algorithm, momentum, temperature
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        self.slow_backbone, self.slow_head = EMA(backbone), EMA(self.head)
        self.register_buffer("queue", F.normalize(torch.randn(queue, width), dim=1))

    def forward(self, x: Tensor, h: Tensor, backbone: nn.Module, key: int) -> Tensor:
        """The loss for windows x (B, C, T) whose representations are h (B, T, width); all randomness comes from `key`."""
        if self.algorithm == "H":
            return self.hierarchical(x, h, backbone, key)
        changed = augmented(x, key)
        loss = self.moco(changed, h, backbone)
        if self.algorithm == "M+H":
            return 0.5 * loss + 0.5 * self.hierarchical(x, h, backbone, key)
        if self.algorithm == "C":
            one, two = (torch.fft.rfft(F.normalize(each, dim=-1), dim=1) for each in (h, backbone(changed)))
            return loss + 0.0005 * (instances(_size(one), _size(two)) + instances(_phase(one), _phase(two))) / 2
        return loss

    def hierarchical(self, x: Tensor, h: Tensor, backbone: nn.Module, key: int) -> Tensor:
        hidden = randomness.uniform(randomness.key(key, "hidden"), torch.arange(len(x)), x.shape[2]) < 0.5
        return hierarchical_contrast(h, backbone(x, hidden))

    def moco(self, changed: Tensor, h: Tensor, backbone: nn.Module) -> Tensor:
        """Tells the slow copy's key of the changed window from the keys of windows before."""
        self.slow_backbone.update(backbone, self.momentum)
        self.slow_head.update(self.head, self.momentum)
        q = F.normalize(self.head(h.mean(dim=1)), dim=1)
        k = F.normalize(self.slow_head(self.slow_backbone(changed).mean(dim=1)), dim=1)
        logits = torch.cat([(q * k).sum(dim=1, keepdim=True), q @ self.queue.T], dim=1) / self.temperature
        self.queue = torch.cat([k, self.queue])[: len(self.queue)]
        return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.int64, device=q.device))


def augmented(x: Tensor, key: int, strength: float = 0.5) -> Tensor:
    """A gain and a shift of each channel and noise, each for half of the windows: (B, C, T) to the same."""
    b, c, t = x.shape
    position = torch.arange(b)
    chosen = randomness.uniform(randomness.key(key, "chosen"), position, 3)[:, :, None, None] < 0.5
    gain, shift = (
        strength * randomness.normal(randomness.key(key, name), position, c)[..., None] for name in ("gain", "shift")
    )
    noise = strength * randomness.normal(randomness.key(key, "noise"), position, c * t).view(b, c, t)
    return x * (1 + gain * chosen[:, 0]) + shift * chosen[:, 1] + noise * chosen[:, 2]


def instances(one: Tensor, two: Tensor) -> Tensor:
    """Finds each window's other view among both views of all windows, at each frequency: (B, frequencies, D) both.

    >>> round(instances(torch.zeros(2, 5, 3), torch.zeros(2, 5, 3)).item(), 4)  # one of 3 others
    1.0986
    """
    z = torch.cat([one, two]).transpose(0, 1)
    n = z.shape[1]
    logits = (z @ z.mT).masked_fill(torch.eye(n, dtype=torch.bool), -torch.inf)
    other = torch.arange(n).roll(n // 2).repeat(len(z))
    return F.cross_entropy(logits.flatten(0, 1), other)


def _size(x: Tensor, eps: float = 1e-6) -> Tensor:
    return (x.real.square() + x.imag.square() + eps).sqrt()


def _phase(x: Tensor, eps: float = 1e-6) -> Tensor:
    # The angle of 0 has no gradient.
    return torch.atan2(x.imag, x.real + eps)
