"""Robust mean teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from ipse import losses, randomness
from ipse.errors import UserError
from ipse.methods.adapt.adapter import Adapter
from ipse.methods.adapt.parts import features_and_logits, modality_of, use_batch_statistics
from ipse.models import EMA
from ipse.training import seeded
from ipse.transforms.jitter import jittered_view


class RMT(Adapter):
    """A student follows its slow average on the sample and on a view of it, and stays near the classes of the source.

        L = consistency (SCE(s, t) + SCE(s', t)) / 2  +  contrast L_con  +  replay CE(student(x_source), y_source)
        t <- decay t + (1 - decay) s, after each step

    t: the teacher's logits of x; s, s': the student's of x and of a view of it; SCE is `losses.symmetric_cross_entropy`. L_con is
    `losses.matched_contrast` of three vectors behind a projector: the student's features of x and of the view, and the class mean of
    the source features that is nearest to the former by cosine. All weights move; batch normalisation sees the batch's statistics
    in both. The answer is s + t, from before the step.

    Before the stream (`prepare`) the class means are taken, and the mean teacher is warmed up on the source: lr grows from 0 over
    min(`warmup`, N) samples, L = SCE(s, t). replay: 0 keeps nothing of the source, the paper's source-free variant; with 1, the
    weight of its other variant, the samples of the source are kept and a batch of them joins each step.

    Doebler, Marsden, Yang; CVPR 2023, arXiv:2211.13081
    """

    needs_source = True
    summed = 2
    prototypes: Tensor

    def __init__(
        self,
        model: nn.Module,
        *,
        lr: float = 1e-3,
        decay: float = 0.999,
        consistency: float = 1.0,
        contrast: float = 1.0,
        replay: float = 0.0,
        temperature: float = 0.1,
        width: int = 128,
        warmup: int = 50_000,
        warmup_batch: int = 200,
    ):
        super().__init__(model)
        use_batch_statistics(self.model)
        self.teacher = EMA(self.model)
        self.lr, self.decay = lr, decay
        self.consistency, self.contrast, self.replay = consistency, contrast, replay
        self.temperature, self.width = temperature, width
        self.warmup, self.warmup_batch = warmup, warmup_batch
        self.source: tuple[Tensor, Tensor] | None = None
        self.moves(dict(self.model.named_parameters()), Adam, lr=lr)

    def prepare(self, x: Tensor, y: Tensor) -> None:
        with torch.no_grad():  # a graph of all of the source would fill the memory
            parts = [features_and_logits(self.model, part) for part in _batches(x, self.warmup_batch)]
        features, classes = torch.cat([f for f, _ in parts]), parts[0][1].shape[1]
        known = [c for c in range(classes) if bool((y == c).any())]
        if not known:
            raise UserError("the samples of the source have no labels, and rmt-tta needs the mean of each class")
        if len(known) < classes:
            self.notes.append(
                f"{classes - len(known)} of {classes} classes have no sample in the source: they have no prototype"
            )
        self._build(torch.stack([features[y == c].mean(0) for c in known]))
        self._warm_up(x)
        self.source = (x, y) if self.replay else None

    def _build(self, prototypes: Tensor) -> None:
        """Adds what depends on the source."""
        width = prototypes.shape[1]
        self.register_buffer("prototypes", prototypes)
        with seeded(randomness.key(self.seed, "projector")):
            self.projector = nn.Sequential(nn.Linear(width, self.width), nn.ReLU(), nn.Linear(self.width, self.width))
        self.projector.to(prototypes.device)
        self.moves(dict(self.model.named_parameters()) | dict(self.projector.named_parameters()), Adam, lr=self.lr)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        if "prototypes" in state_dict and not self.prepared:
            self._build(state_dict["prototypes"])
        return super().load_state_dict(state_dict, strict, assign)

    @property
    def prepared(self) -> bool:  # type: ignore[override]
        return hasattr(self, "prototypes")

    def _warm_up(self, x: Tensor) -> None:
        """Lets student and teacher settle on the source."""
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(randomness.key(self.seed, "warmup")))
        batches = [x[i.to(x.device)] for i in order[: self.warmup].split(self.warmup_batch) if len(i) > 1]
        for i, batch in enumerate(batches):
            with torch.enable_grad():
                loss = losses.symmetric_cross_entropy(self.model(batch), self.teacher(batch))
                self.step(loss, lr=self.lr * (i + 1) / len(batches))
            self.teacher.update(self.model, self.decay)

    def adapt(self, x: Tensor) -> Tensor:
        if not self.prepared:
            raise UserError("rmt-tta needs samples of the source with their labels before the stream: source=(x, y)")
        view = jittered_view(x, modality_of(self.model, x), randomness.key(self.seed, "view"), self.position(x))
        features, s = features_and_logits(self.model, x)
        view_features, s_view = features_and_logits(self.model, view)
        t = self.teacher(x)
        self_training = (losses.symmetric_cross_entropy(s, t) + losses.symmetric_cross_entropy(s_view, t)) / 2
        nearest = F.cosine_similarity(features.detach()[:, None], self.prototypes, dim=-1).argmax(1)
        triple = [self.projector(z) for z in (self.prototypes[nearest], features, view_features)]
        loss = self.consistency * self_training + self.contrast * losses.matched_contrast(triple, self.temperature)
        if self.replay:
            loss = loss + self.replay * self._replayed(len(x))
        self.step(loss, lr=self.lr)
        self.teacher.update(self.model, self.decay)
        answer: Tensor = s.detach() + t
        return answer

    def _replayed(self, n: int) -> Tensor:
        """Cross-entropy of the student on as many samples of the source."""
        if self.source is None:
            raise UserError("rmt-tta with replay goes on only with the samples of the source: give them again")
        x, y = self.source
        place = randomness.shuffled(self.seen.cpu() % len(x) + torch.arange(n), 1 << 30, randomness.key(self.seed, "replay"))
        i = (place % len(x)).to(x.device)
        return F.cross_entropy(self.model(x[i]), y[i], ignore_index=-1)

    def predict(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            logits: Tensor = self.model(x) + self.teacher(x)
        return logits


def _batches(x: Tensor, size: int) -> list[Tensor]:
    """Pieces of about a size, none of a single sample where there are more."""
    return list(x.tensor_split(max(1, len(x) // size)))
