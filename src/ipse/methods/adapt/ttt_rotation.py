"""Test-time training with rotations."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD

from ipse import randomness
from ipse.errors import UserError
from ipse.methods.adapt.adapter import Adapter
from ipse.models.branch import Branch
from ipse.transforms.jitter import weak_view


class TTTRotation(Adapter):
    """Learns on each sample by which right angle it was turned, and then names its class by the layers that have changed with it.

        L = cross-entropy of rotation(turned copy), mean over `copies` copies cropped, mirrored and turned at random
        theta <- theta - lr dL/dtheta        of the shared layers and the rotation head; the classifier's own layers stand still

    The classifier has to have learned both at once (`ipse selftrain DATA --method joint-rotation`), by an encoder without batch
    normalisation: one sample has no statistics, and those of the source are kept where there is any.

    Episodic (the paper's standard version): `steps` (10) from the source for each sample, which is then forgotten. Online: one step
    per sample, kept along the stream. skip: a sample is left alone where the rotation head gives its upright class at least this
    probability; 1 leaves none.

    Sun, Wang, Liu, Miller, Efros, Hardt; ICML 2020, arXiv:1909.13231
    """

    modalities = ("image",)
    resets = "batch"

    def __init__(self, model: nn.Module, *, lr: float = 1e-3, steps: int | None = None, copies: int = 32, skip: float = 1.0):
        super().__init__(model)
        rotation = getattr(self.model, "rotation", None)
        if not isinstance(rotation, Branch):
            raise UserError(
                "ttt-rotation needs a classifier that learned rotations with its classes: train one with ipse selftrain DATA --method joint-rotation"
            )
        self.steps, self.copies, self.skip = steps, copies, skip
        self.moves(dict(rotation.named_parameters()), SGD, lr=lr)

    def adapt(self, x: Tensor) -> Tensor:
        return torch.cat([self._answer(x[[i]], self.seen + i) for i in range(len(x))])

    def _answer(self, x: Tensor, place: Tensor) -> Tensor:
        """Learns from one sample (1, C, H, W) and gives its logits."""
        if self.skip >= 1 or float(self.model.rotation(x).detach().softmax(1)[0, 0]) < self.skip:  # type: ignore[operator]
            for step in range(self.steps or (10 if self.episodic else 1)):
                position = place * self.copies + torch.arange(self.copies, device=x.device)
                copies = weak_view(
                    x.expand(self.copies, -1, -1, -1), "image", randomness.key(self.seed, "copy", step), position
                )
                turns = randomness.bits(randomness.key(self.seed, "turns", step), position, 1)[:, 0] % 4
                self.step(F.cross_entropy(self.model.rotation(turned(copies, turns)), turns))  # type: ignore[operator]
        logits = self.predict(x)
        if self.episodic:
            self.reset()
        return logits


def turned(x: Tensor, turns: Tensor) -> Tensor:
    """Each square picture (B, C, H, H) turned by so many right angles (B,), counterclockwise."""
    every = torch.stack([torch.rot90(x, k, (2, 3)) for k in range(4)])
    return every[turns, torch.arange(len(x), device=x.device)]
