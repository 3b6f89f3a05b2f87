"""Weights that follow the loss bring forgetting nearer to retraining."""

from __future__ import annotations

from typing import Any

from ipse.claims import Claim, pictures
from ipse.claims.harness.forgetting import Case, at_random

CLAIM = Claim(
    statement="Weighing the samples to forget by their loss (LoReUn) brings random labels nearer to the retrained model.",
    setting="MNIST, 4,000 digits to learn from, 1,000 to test; small_conv (8, 16, 32), a random 10 % forgotten",
    measure="mean absolute difference from the retrained model in forget, retain and test accuracy and in membership AUC",
    unit="%",
    kind="less",
    seeds=5,
    tried="Nothing yet: temperature 1, 3 epochs at lr 0.01 with every arm.",
)
NAMES = ("forget-accuracy", "retain-accuracy", "test-accuracy", "membership-auc")


def run(seed: int, long: bool) -> dict[str, float]:
    data = pictures("mnist5k", 4000, 1000, seed)
    case = Case(data, at_random(data, 0.1, seed), seed, epochs=30 if long else 8)
    gold = case.gold()

    def gap(method: str, **settings: Any) -> float:
        now = case.audit(case.after(method, epochs=3, lr=0.01, **settings))
        return sum(abs(now[name] - gold[name]) for name in NAMES) / len(NAMES)

    return {
        "LoReUn, dynamic": gap("loreun", base="random-labels"),
        "random labels": gap("random-labels"),
        "LoReUn, static": gap("loreun", base="random-labels", when="static"),
    }
