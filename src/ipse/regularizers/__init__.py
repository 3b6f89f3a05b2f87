"""Terms that can be added to any method which exposes its embeddings."""

from __future__ import annotations

from typing import ClassVar, Literal, Protocol

from torch import Tensor


class Regularizer(Protocol):
    """A term of the loss, asked for by `--plus KEY` or `--plus KEY=WEIGHT`; its fields are its hyper-parameters."""

    on: ClassVar[Literal["z", "h"]]
    """What it looks at: the embeddings the loss compares (`z`) or the encoder's representations (`h`)."""

    weight: ClassVar[float]
    """The factor of the term when the user gives none."""

    after_warmup: ClassVar[bool]
    """Whether the term counts only once the learning rate has warmed up."""

    def __call__(self, *embeddings: Tensor) -> Tensor:
        """The term, before its weight, of one or more local (B, D) tensors, one for each view: a scalar."""
        ...
