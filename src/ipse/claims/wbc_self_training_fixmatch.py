"""Self-training in stages gains from consistency."""

from __future__ import annotations

from ipse.claims import Claim, accuracy, few_labels, pictures, selftrained

CLAIM = Claim(
    statement="FixMatch's consistency, added to the re-training stages of self-training that takes the most stable samples first, gives a better student.",
    setting="scikit-learn's digits, 1,200 to learn from of which 40 have a label, 500 to test; small_conv, batch 64, 600 steps in three stages. The paper "
    "segments blood cells; here each picture is one place with one class",
    measure="test accuracy of the last student",
    unit="%",
    tried="All arms share learning rate, batches and the steps in all; none was tuned. The further arms: plain self-training in two stages, and the "
    "labels alone.",
)


def run(seed: int, long: bool) -> dict[str, float]:
    data = few_labels(pictures("digits", 1200, 500, seed), 4, seed)
    words = {"batch_size": 64, "steps": 9000 if long else 600, "lr": 2e-3}

    def score(**settings: float) -> float:
        return accuracy(selftrained(data, seed, method="wbc-self-training-fixmatch", set=settings, **words), data)

    return {
        "with FixMatch": score(),
        "ST++": score(consistency=0.0),
        "ST": score(consistency=0.0, reliable=1.0),
        "labels alone": accuracy(selftrained(data, seed, method="supervised", **words), data),
    }
