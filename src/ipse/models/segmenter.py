"""An encoder that names the class of every pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ipse.errors import UserError
from ipse.models.classifier import Classifier
from ipse.models.encoder import Encoder


class Segmenter(Classifier):
    """An encoder with places and a linear head for each: pictures x (B, C, S, S) to one score per class and pixel, (B, K, S, S).

    The scores of the places, a square of them, are interpolated to the pixels; an encoder with a place for each pixel is `unet`.
    Raises UserError for encoders whose places are no square, or that have none.
    """

    def __init__(self, encoder: Encoder, classes: Sequence[str]):
        super().__init__(encoder, classes)
        if encoder.form["modality"] != "image":
            raise UserError(f"masks name the pixels of pictures, and encoder {encoder.name!r} sees none")
        training, size = encoder.training, encoder.form["size"]
        encoder.eval()
        with torch.no_grad():
            _, places, width = encoder.dense(torch.zeros(1, encoder.form["channels"], size, size)).shape
        encoder.train(training)
        if math.isqrt(places) ** 2 != places:
            raise UserError(
                f"encoder {encoder.name!r} sees {places} places, which are no square: take unet, small_conv or small_vit"
            )
        self.head = nn.Linear(width, len(self.classes))

    def forward(self, x: Tensor) -> Tensor:
        scores = self.head(self.encoder.dense(x)).transpose(1, 2)
        side = math.isqrt(scores.shape[-1])
        return F.interpolate(scores.unflatten(2, (side, side)), size=x.shape[-2:], mode="bilinear")

    @torch.no_grad()
    def probabilities(self, x: Tensor) -> Tensor:
        """The calibrated probability of each class at each pixel, (B, K, S, S)."""
        probabilities: Tensor = (self(x).float() / self.temperature).softmax(1)
        return probabilities
