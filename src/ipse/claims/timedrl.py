"""A class patch of its own says more about a whole series than the mean of what its patches say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipse.claims import Claim, exercises, few_labels, linear, pretrained, untrained

if TYPE_CHECKING:
    from ipse import Run

CLAIM = Claim(
    statement="The output of TimeDRL's class patch tells classes apart better than the mean over patches trained in its place.",
    setting=(
        "Smartwatch recordings of 7 exercises, 6 people to learn from, 4 others to test; windows of 4 s, "
        "patch_transformer (width 64, depth 2), batch 64, 200 steps"
    ),
    measure="linear probe accuracy, 10 labelled windows per class",
    unit="%",
    seeds=3,
    tried="Both arms have the same settings, steps and dropout, and differ in `instance` alone: cls against gap.",
)

OPTIONS: dict[str, Any] = {"width": 64, "depth": 2, "heads": 4}


def run(seed: int, long: bool) -> dict[str, float]:
    data = exercises(seed)
    few = few_labels(data, 10, seed)

    def learned(**settings: float | str) -> Run:
        words = {"batch_size": 64, "steps": 3000 if long else 200, "lr": 1e-3}
        return pretrained(data, seed, options=OPTIONS, method="timedrl", set=settings, **words)

    ours, mean = learned(), learned(instance="gap")
    predictive = learned(instance="gap", weight=0.0)
    random = untrained(data, seed, "patch_transformer", mix=True, pool="cls", **OPTIONS)
    return {
        "class patch": linear(ours, few),
        "mean over patches": linear(mean, few),
        "mean over patches, without contrast": linear(predictive, few),
        "class patch, untrained": linear(random, few),
        "class patch, all labels": linear(ours, data),
        "mean over patches, all labels": linear(mean, data),
        "mean over patches, without contrast, all labels": linear(predictive, data),
    }
