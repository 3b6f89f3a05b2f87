"""A class patch of its own says more about a whole series than the mean of what its patches say."""

from __future__ import annotations

from typing import Any

from ipse.claims import Claim, exercises, few_labels, pretrained, probe

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
    import torch

    from ipse.models import create

    data = exercises(seed)
    few = few_labels(data, 10, seed)

    def learned(**settings: float | str) -> dict[str, float]:
        words = {"batch_size": 64, "steps": 3000 if long else 200, "lr": 1e-3}
        run = pretrained(data, seed, options=OPTIONS, method="timedrl", set=settings, **words)
        return {"few": probe(run, few, "linear")["linear"], "all": probe(run, data, "linear")["linear"]}

    ours, mean = learned(), learned(instance="gap")
    predictive = learned(instance="gap", weight=0.0)
    torch.manual_seed(seed)
    random = create("patch_transformer", data.form, mix=True, pool="cls", **OPTIONS)
    return {
        "class patch": ours["few"],
        "mean over patches": mean["few"],
        "mean over patches, without contrast": predictive["few"],
        "class patch, untrained": probe(random, few, "linear")["linear"],
        "class patch, all labels": ours["all"],
        "mean over patches, all labels": mean["all"],
        "mean over patches, without contrast, all labels": predictive["all"],
    }
