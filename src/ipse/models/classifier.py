"""An encoder that names classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ipse.data import Form
from ipse.models.branch import Branch
from ipse.models.encoder import Encoder


class Classifier(nn.Module):
    """An encoder and a linear head: samples x (B, ...) to one score per class, (B, K).

    classes: what the K scores are for. temperature: what the scores are divided by before softmax, so that the confidence is
    calibrated (Guo et al., ICML 2017, arXiv:1706.04599); 1 until somebody has fitted it. rotation: a second head that tells by which
    right angle a picture was turned, where one was learned with the first.
    """

    temperature: Tensor
    rotation: Branch | None

    def __init__(self, encoder: Encoder, classes: Sequence[str]):
        super().__init__()
        self.encoder, self.classes = encoder, tuple(classes)
        self.head = nn.Linear(encoder.dim, len(self.classes))
        self.register_buffer("temperature", torch.ones(()))
        self.rotation = None

    @property
    def form(self) -> Form:
        """What the samples are."""
        return self.encoder.form

    def features(self, x: Tensor) -> Tensor:
        """What the head reads: (B, dim)."""
        h: Tensor = self.encoder(x)
        return h

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.features(x))
        return scores

    @torch.no_grad()
    def probabilities(self, x: Tensor) -> Tensor:
        """The calibrated probability of each class, (B, K)."""
        probabilities: Tensor = (self(x).float() / self.temperature).softmax(-1)
        return probabilities


class FeaturesAndScores(nn.Module):
    """A classifier as other programs see it: x to its features (B, dim) and its scores (B, K), whose softmax is its calibrated confidence."""

    def __init__(self, model: Classifier):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.model.features(x)
        plain = type(self.model) is Classifier
        return h, (self.model.head(h) if plain else self.model(x)) / self.model.temperature
