"""Filling in hidden patches prepares an encoder for forecasts better than contrast does."""

from __future__ import annotations

from typing import Any

from ipse.claims import Claim, exercises, pretrained, untrained

CLAIM = Claim(
    statement="Forecasts read off a frozen patch transformer err less after masked patches than after SimCLR.",
    setting=(
        "Smartwatch recordings of 7 exercises, 6 people to learn from, 4 others to test; windows of 4 s, the last second "
        "forecast; width 64, depth 2, batch 32, 400 steps of masked patches, 200 of SimCLR's two views"
    ),
    measure="mean squared error of ridge regression from the frozen patches, in units of the standardised data",
    kind="less",
    seeds=4,
    tried=(
        "Equally many passes of windows through the encoder, the same learning rate, 1e-3, and patches; SimCLR sees the "
        "library's usual views of series."
    ),
)
OPTIONS: dict[str, Any] = {"width": 64, "depth": 2, "heads": 4}


def run(seed: int, long: bool) -> dict[str, float]:
    from ipse.metrics.forecasting import forecast_probe

    data, times = exercises(seed, 100), 15 if long else 1
    test = data.test
    assert test is not None

    def learned(method: str, steps: int) -> dict[str, float]:
        words = {"encoder": "patch_transformer", "batch_size": 32, "steps": steps * times, "lr": 1e-3}
        encoder = pretrained(data, seed, options=OPTIONS, method=method, **words).encoder
        return {name: numbers["mse"] for name, numbers in forecast_probe(encoder, data.train, test, 25).items()}

    masked, contrast = learned("patchtst", 400), learned("simclr", 200)
    random = forecast_probe(untrained(data, seed, "patch_transformer", **OPTIONS), data.train, test, 25)
    return {
        "PatchTST": masked["encoder"],
        "SimCLR": contrast["encoder"],
        "the encoder untrained": random["encoder"]["mse"],
        "ridge regression from the past itself": masked["linear"],
        "last season": masked["season"],
    }
