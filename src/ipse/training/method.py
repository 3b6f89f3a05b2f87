"""The protocol: what a method sees, and what it gives back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from ipse import randomness
from ipse.data import Form, Samples
from ipse.errors import UserError
from ipse.models import Classifier, Encoder
from ipse.transforms import Sees, View


@dataclass
class Batch:
    """What a method gets at one step: the looks it asked for, at b samples.

    views: one `View` per look. index: (b,) which samples of the data these are. position: (b,) their places in the endless stream of all batches.
    step, steps: where the run is. y: (b,) their labels, -1 where there is none, or those of the pixels of the first view, (b, S, S), where
    masks name them; what pre-trains does not look at them.
    more: the further batches of this step, where `Sees.batches` asks for several.
    """

    views: list[View]
    index: Tensor
    position: Tensor
    seed: int = 0
    step: int = 0
    steps: int = 1
    y: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    more: list[Batch] = field(default_factory=list)

    @property
    def progress(self) -> float:
        """The share of the run that is done, from 0 to 1."""
        return self.step / max(self.steps, 1)

    def uniform(self, name: str, n: int) -> Tensor:
        """n uniform numbers per sample, (b, n), the same whichever process holds the sample."""
        return randomness.uniform(randomness.key(self.seed, name), self.position, n)

    def __iter__(self) -> Iterator[Tensor]:
        """What each view shows, x (b, ...)."""
        return (v.x for v in self.views)


class Data(Protocol):
    """All the data, for methods that look at it between rounds."""

    def everything(self, most: int = 256) -> Iterator[tuple[Tensor, Tensor]]:
        """Every sample once, in order and as it is: pieces of their indices (b,) and of x (b, ...)."""


@dataclass
class Step:
    """What a method gives back: the loss, and what others may use.

    loss: a scalar to minimise. terms: its named parts, for the logs and, where `Method.terms` names them, for optimizers. z: the embeddings that
    were compared, (b, D) per view. h: the encoder's representations, (b, dim) per view. logits: predictions, where there are any.
    """

    loss: Tensor
    z: Sequence[Tensor] = ()
    h: Sequence[Tensor] = ()
    logits: Tensor | None = None
    terms: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """How a method is usually optimised. lr is the peak at 256 samples per batch and grows in proportion to the batch; warmup is a share of the run."""

    optimizer: str = "adamw"
    lr: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.05


class Method(nn.Module):
    """A way for an encoder to teach itself: declares what it `sees`, and computes a loss from it."""

    sees: Sees
    recipe: ClassVar[Recipe] = Recipe()
    needs_tokens: ClassVar[bool] = False
    modalities: ClassVar[tuple[str, ...]] = ()
    """The only kinds of data that it is for; () for all."""
    transformer: ClassVar[bool] = False
    """Whether its usual encoder is a transformer."""
    usual_encoder: ClassVar[str | None] = None
    """Its usual encoder by name, where that is not one of the modality's."""
    encoder_options: ClassVar[Mapping[str, Any]] = {}
    """How its usual encoder differs from what is built without options."""
    terms: ClassVar[tuple[str, ...]] = ()
    """Those of `Step.terms` that add up to its loss, weights included: optimizers may want their gradients apart."""
    rounds: int = 1
    """In how many parts of equal length it learns."""
    restarts: ClassVar[bool] = False
    """Whether each round is a run of its own, with its own schedule and a new optimizer."""

    def __init__(self, encoder: Encoder):
        super().__init__()
        self.encoder = encoder

    def loss(self, batch: Batch) -> Step:
        """Compares what was seen."""
        raise NotImplementedError

    def before_round(self, round: int, data: Data) -> None:
        """Looks at all the data before each of the `rounds` parts of a run, and labels it anew."""

    def lesson(self) -> tuple[Sees, Tensor | None]:
        """What it sees in the present round, and the label of every sample, (N,): -1 for none, -2 for samples that are left out.

        No labels stand for those of the data. What a round sees must follow from the method's state, for a run may stop and go on.
        """
        return self.sees, None

    def prepare(self, samples: Samples) -> None:
        """Adds what depends on the samples of the data (how many there are), before the optimizer is built."""

    @classmethod
    def encoder_form(cls, form: Form, **settings: Any) -> Form:
        """The form of what the encoder sees, where it is not that of the data: one sensor of many."""
        return form

    def check(self, batch_size: int) -> None:
        """Raises UserError when the method cannot learn from batches of this size."""
        if batch_size < 2:
            raise UserError(
                f"a batch of {batch_size} sample(s) has nothing to compare: more samples are needed, at least 2 per batch"
            )

    def after_step(self, batch: Batch) -> None:
        """Follows the weights after each step: teachers, queues."""

    def extra_repr(self) -> str:
        plain: dict[str, Any] = {
            k: v for k, v in vars(self).items() if isinstance(v, (int, float, str)) and not k.startswith("_")
        }
        return ", ".join(f"{k}={v}" for k, v in plain.items() if k != "training")


class Taught(Method):
    """A way for a classifier to learn from labels, from its own predictions or from a teacher; `batch.y` holds the labels."""

    needs_labels: ClassVar[bool] = False
    """Whether one that has a teacher cannot do without labels."""
    by_pixel: ClassVar[bool] = False
    """Whether it can learn from masks: scores are then (B, K, S, S), and labels (B, S, S)."""
    needs_teacher: ClassVar[bool] = True
    """Whether one of distillation has a teacher; the others are their own."""

    def __init__(self, model: Classifier):
        nn.Module.__init__(self)
        self.model = model

    @property
    def encoder(self) -> Encoder:  # type: ignore[override]
        """The encoder of what learns."""
        return self.model.encoder

    @property
    def learned(self) -> Classifier:
        """What is kept in the end."""
        return self.model
