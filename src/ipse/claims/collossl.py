"""What one sensor of a device measures teaches the encoder of another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipse.claims import Claim, exercises, few_labels, pretrained, probe

if TYPE_CHECKING:
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
OPTIONS: dict[str, Any] = {"hidden": 32}


def run(seed: int, long: bool) -> dict[str, float]:
    both, anchor = exercises(seed), exercises(seed, channels=3)
    few = few_labels(anchor, 10, seed)

    def learned(data: Data, method: str) -> dict[str, float]:
        words = {"encoder": "dilated_conv", "batch_size": 32, "steps": 3000 if long else 150, "lr": 1e-3}
        run = pretrained(data, seed, options=OPTIONS, method=method, set={"temperature": 0.1}, **words)
        return {"few": probe(run, few, "linear")["linear"], "all": probe(run, anchor, "linear")["linear"]}

    ours, simclr = learned(both, "collossl"), learned(anchor, "simclr")
    return {
        "ColloSSL": ours["few"],
        "SimCLR": simclr["few"],
        "ColloSSL, all labels": ours["all"],
        "SimCLR, all labels": simclr["all"],
    }
