"""Contrast across a clean and a noisy copy makes features that stand noise."""

from __future__ import annotations

from typing import Any

from ipse.claims import Claim, pretrained
from ipse.claims.harness.speech import heard_in_noise, small_transformer, syllables

CLAIM = Claim(
    statement="Cross-contrast with clustered negatives gives features that tell more in noise than those of wav2vec 2.0.",
    setting=(
        "Mandarin syllables, 1,000 clips to learn from, 600 to test on at 5 dB; mel_transformer (width 96, depth 3), "
        "batch 32, 80 steps at lr 1e-3"
    ),
    measure="linear probe accuracy on tones in noise",
    unit="%",
    seeds=3,
    tried=(
        "The baseline has both cross terms at 0 and negatives at full weight, which is wav2vec 2.0, on the same "
        "batches. For both, spans of 4, 64 entries and 50 negatives, since clips are of 20 frames. The probe learns "
        "from clean clips. Seen before with 3 steps of seed 0: 43.3 against 47.5 %."
    ),
)


def run(seed: int, long: bool) -> dict[str, float]:
    (data,) = syllables(seed, "tone")

    def learned(**settings: Any) -> float:
        words = small_transformer("ccc-wav2vec2", span=4, entries=64, negatives=50, **settings)
        return heard_in_noise(pretrained(data, seed, **words, steps=2000 if long else 80), data, 5.0)

    return {"CCC-wav2vec 2.0": learned(), "wav2vec 2.0": learned(noisy_targets=0.0, noisy_context=0.0, scale=1.0)}
