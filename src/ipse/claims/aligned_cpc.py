"""Fewer predictions than frames, aligned with them, give a better context."""

from __future__ import annotations

from ipse.claims import Claim, pretrained
from ipse.claims.harness.speech import read, syllables

CLAIM = Claim(
    statement=(
        "Aligning 5 predictions with the next 8 latents gives a context that tells more of the sound than one "
        "prediction for each latent."
    ),
    setting=(
        "Mandarin syllables, 1,000 clips to learn from, 600 to test on; wave_lstm (conv 64, width 96, depth 1), 32 "
        "negatives, batch 32, 80 steps at lr 1e-3"
    ),
    measure="linear probe accuracy on initials",
    unit="%",
    seeds=3,
    tried=(
        "Initials take the place of phones, which nobody has aligned here. The baseline has 8 predictions of 8 "
        "latents, which is plain CPC."
    ),
)


def run(seed: int, long: bool) -> dict[str, float]:
    (data,) = syllables(seed, "initial")

    def learned(predictions: int) -> float:
        words = {"encoder": "wave_lstm", "batch_size": 32, "steps": 2500 if long else 80, "lr": 1e-3}
        options = {"conv": 64, "width": 96, "depth": 1}
        settings = {"frames": 8, "negatives": 32, "predictions": predictions}
        run = pretrained(data, seed, method="aligned-cpc", options=options, set=settings, **words)
        return read(run, data)

    return {"aligned CPC": learned(5), "CPC": learned(8)}
