"""Teachers that follow their student, or stand still."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def frozen_copy(module: Module) -> Module:
    """A copy that never receives gradients."""
    return copy.deepcopy(module).requires_grad_(False)


class EMA(nn.Module):
    """A teacher whose weights are the exponential moving average of its student's: t <- decay t + (1 - decay) s.

    It runs in the student's mode (batch statistics while training, as in BYOL and MoCo v3); buffers are its own.
    """

    def __init__(self, student: nn.Module):
        super().__init__()
        self.teacher = frozen_copy(student)

    @torch.no_grad()
    def forward(self, *args: object) -> torch.Tensor:
        result: torch.Tensor = self.teacher(*args)
        return result

    @torch.no_grad()
    def update(self, student: nn.Module, decay: float) -> None:
        """Moves the teacher towards the student."""
        both = zip(self.teacher.parameters(), student.parameters(), strict=True)
        pairs = [(t, s.detach()) for t, s in both if s.requires_grad]
        torch._foreach_lerp_([t for t, _ in pairs], [s for _, s in pairs], 1 - decay)

    @torch.no_grad()
    def hand_over(self, student: nn.Module) -> None:
        """Gives the student the teacher's weights."""
        for t, s in zip(self.teacher.parameters(), student.parameters(), strict=True):
            s.copy_(t)


def risen(start: float, end: float, progress: float) -> float:
    """A decay that goes from `start` to `end` in a straight line while `progress` goes from 0 to 1, and stays there.

    >>> risen(0.5, 0.9, 0.5), risen(0.5, 0.9, 3.0)
    (0.7, 0.9)
    """
    return start + (end - start) * min(1.0, progress)
