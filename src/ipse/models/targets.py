"""What a teacher makes of frames, as targets to regress."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import Self

from ipse.models.ema import EMA
from ipse.models.speech import Passed, TokenEncoder


def instance_norm(x: Tensor, valid: Tensor, eps: float = 1e-5) -> Tensor:
    """Gives every channel of every clip mean 0 and variance 1 over its valid frames: (B, N, D) to float32 (B, N, D).

    `valid`: bool (B, N); other frames become 0, and so do clips of one valid frame.

    >>> instance_norm(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[True, True, False]]))[0, :, 0].round(decimals=4)
    tensor([-1.,  1.,  0.])
    """
    inside = valid[..., None]
    n = inside.sum(dim=1, keepdim=True).clamp_min(1)
    x = x.float().masked_fill(~inside, 0)
    centred = (x - x.sum(dim=1, keepdim=True) / n).masked_fill(~inside, 0)
    return centred * (centred.square().sum(dim=1, keepdim=True) / n + eps).rsqrt()


def averaged_targets(layers: Sequence[Tensor], valid: Tensor, top: int = 8) -> Tensor:
    """The mean of the last `top` layers, all if there are fewer, each normalised over time: L times (B, N, D) to (B, N, D).

    Baevski et al., ICML 2022, arXiv:2202.03555
    """
    chosen = [instance_norm(layer, valid) for layer in layers[-top:]]
    return torch.stack(chosen).mean(dim=0)


class FrameTeacher(EMA):
    """A slowly moving copy of an encoder whose blocks tell what there is to regress: data2vec's targets.

    It is always in evaluation mode. Of the student's weights only those of the blocks are used: the front end is shared.
    top: of how many blocks, the last ones, what their perceptrons give is averaged.
    """

    def __init__(self, student: TokenEncoder, top: int = 8):
        super().__init__(student)
        self.top = top
        self.eval()

    def train(self, mode: bool = True) -> Self:
        return super().train(False)

    @torch.no_grad()
    def forward(self, tokens: Tensor, valid: Tensor) -> Tensor:  # type: ignore[override]
        """Targets (B, N, width), 0 behind the sound, for the student's own tokens (B, N, width), nothing of them hidden."""
        passed: Passed = self.teacher.passed(tokens, valid)  # type: ignore[operator]
        return averaged_targets(passed.perceptrons, valid, self.top)
