"""What one sensor of a device measures teaches the encoder of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipse.claims import Claim, exercises, few_labels, linear, pretrained

if TYPE_CHECKING:
    from ipse import Run
    from ipse.data import Data

CLAIM = Claim(
    statement="An encoder of accelerations learns more from the turning rates of the same moment than from augmented copies.",
    setting=(
        "Smartwatch recordings of 7 exercises, 6 people to learn from, 4 others to test; accelerometer and gyroscope as "
        "two devices, the former the anchor; windows of 4 s, dilated_conv (width 32), batch 32, 150 steps"
    ),
    measure="linear probe accuracy from accelerations alone, 10 labelled windows per class",
    unit="%",
    seeds=3,
    tried=(
        "The same encoder, batch, learning rate (1e-3), temperature (0.1) and steps; SimCLR sees the library's usual "
        "views of the accelerations."
    ),
)


def run(seed: int, long: bool) -> dict[str, float]:
    both, anchor = exercises(seed), exercises(seed, channels=3)
    few = few_labels(anchor, 10, seed)

    def learned(data: Data, method: str) -> Run:
        words = {"encoder": "dilated_conv", "options": {"hidden": 32}, "batch_size": 32, "lr": 1e-3}
        return pretrained(data, seed, method=method, **words, set={"temperature": 0.1}, steps=3000 if long else 150)

    ours, simclr = learned(both, "collossl"), learned(anchor, "simclr")
    return {
        "ColloSSL": linear(ours, few),
        "SimCLR": linear(simclr, few),
        "ColloSSL, all labels": linear(ours, anchor),
        "SimCLR, all labels": linear(simclr, anchor),
    }
