"""Prediction of the next day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import nn

from ipse.errors import UserError, unknown
from ipse.losses.masked import masked_series_mse
from ipse.models import Encoder
from ipse.training import Batch, Method, Recipe, Step
from ipse.transforms import Original


class NextDay(Method):
    """Predicts one channel at the next step from all channels up to now, by a linear layer on a causal encoder.

        L = mean over known values of  (a . h_t + b - x_{t + ahead, target})^2

    target: the channel, by name or number; which one serves best is the paper's question (resting heart rate and time in bed,
    not steps, for onsets of influenza). ahead: how many steps later it is. What is missing, and padding, takes no part.

    Kolbeinsson et al., NeurIPS 2021 workshop on self-supervised learning, arXiv:2112.13755; the encoder and the loss of the
    paper are not public, those here are the plainest for its task.
    """

    sees = Original()
    recipe = Recipe(lr=1e-3, weight_decay=1e-4)
    modalities = ("series",)
    usual_encoder = "dilated_conv"
    encoder_options: ClassVar[Mapping[str, Any]] = {"causal": True}

    def __init__(self, encoder: Encoder, *, target: int | str = 0, ahead: int = 1):
        super().__init__(encoder)
        if not getattr(encoder, "causal", False):
            raise UserError(
                f"next-day-wearable-ssl needs an encoder that sees no later steps, and {encoder.name} does: leave --encoder out, or take a causal dilated_conv"
            )
        if not 0 < ahead < encoder.form["length"]:
            raise UserError(
                f"next-day-wearable-ssl predicts 1 to {encoder.form['length'] - 1} steps ahead in series of {encoder.form['length']}, not {ahead}"
            )
        self.channel = channel(target, encoder.form["names"])
        self.head = nn.Linear(encoder.dim, 1)
        self.ahead = ahead

    def loss(self, batch: Batch) -> Step:
        (x,) = batch
        states = self.encoder.dense(x)
        later = x[:, self.channel, self.ahead :]
        prediction = self.head(states[:, : -self.ahead])[..., 0]
        h = states.mean(dim=1)
        return Step(masked_series_mse(prediction, later, ~later.isnan()), z=(h,), h=(h,))


def channel(target: int | str, names: list[str]) -> int:
    """Which channel is meant; raises UserError for one that does not exist.

    >>> channel("steps", ["pulse", "steps"]), channel(0, ["pulse", "steps"])
    (1, 0)
    """
    if str(target) in names:
        return names.index(str(target))
    if isinstance(target, int) and 0 <= target < len(names):
        return target
    if isinstance(target, int):
        raise UserError(f"--set target={target}: the series has {len(names)} channel(s), 0 to {len(names) - 1}")
    raise unknown("channel", target, names)
