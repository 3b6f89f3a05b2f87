"""A series, its spectrum and its wavelets are views enough: nothing has to be augmented."""

from __future__ import annotations

from typing import Any

from ipse.claims import Claim, exercises, few_labels, pretrained, probe

CLAIM = Claim(
    statement=(
        "Contrasting windows with their Fourier and wavelet transforms gives a better representation than SimCLR's "
        "augmented views."
    ),
    setting=(
        "Smartwatch recordings of 7 exercises, 6 people to learn from, 4 others to test; windows of 4 s, dilated_conv "
        "(width 32), batch 32, 100 steps, SimCLR 300"
    ),
    measure="linear probe accuracy, 10 labelled windows per class",
    unit="%",
    seeds=3,
    tried=(
        "The same encoder, batch and learning rate (1e-3). A step of frame projections, with three encoders, is taken to cost about as much as "
        "three of SimCLR, which sees the library's usual views of series."
    ),
)
OPTIONS: dict[str, Any] = {"hidden": 32}


def run(seed: int, long: bool) -> dict[str, float]:
    data = exercises(seed)
    few = few_labels(data, 10, seed)

    def learned(method: str, steps: int, **more: dict[str, float]) -> dict[str, float]:
        words = {"encoder": "dilated_conv", "batch_size": 32, "steps": steps * (15 if long else 1), "lr": 1e-3, **more}
        run = pretrained(data, seed, options=OPTIONS, method=method, **words)
        return {"few": probe(run, few, "linear")["linear"], "all": probe(run, data, "linear")["linear"]}

    ours, simclr = learned("frame-projections", 100), learned("simclr", 300)
    return {
        "frame projections": ours["few"],
        "SimCLR": simclr["few"],
        "frame projections, all labels": ours["all"],
        "SimCLR, all labels": simclr["all"],
    }
