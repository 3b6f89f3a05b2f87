"""Meta pseudo labels do without the teacher."""

from __future__ import annotations

from ipse.claims import Claim, accuracy, few_labels, pictures, selftrained

CLAIM = Claim(
    statement="One network that labels, learns and is rewarded reaches what Meta Pseudo Labels reaches with two.",
    setting="scikit-learn's digits, 1,200 to learn from of which 100 have a label, 500 to test; small_conv, batch 64, 300 steps of SGD at lr 0.05",
    measure="test accuracy",
    kind="within",
    bound=0.02,
    unit="%",
    tried="Both arms share every setting, the steps and the learning rate; neither was tuned. One network instead of two is counted exactly in the "
    "tests. The further arms: plain self-training and the labels alone, with AdamW at lr 2e-3.",
)


def run(seed: int, long: bool) -> dict[str, float]:
    data = few_labels(pictures("digits", 1200, 500, seed), 10, seed)
    words = {"batch_size": 64, "steps": 4000 if long else 300}

    def score(method: str, lr: float) -> float:
        return accuracy(selftrained(data, seed, method=method, lr=lr, **words), data)

    return {
        "self meta pseudo labels": score("self-meta-pseudo-labels", 0.05),
        "meta pseudo labels": score("meta-pseudo-labels", 0.05),
        "plain self-training": score("plain-self-training", 2e-3),
        "labels alone": score("supervised", 2e-3),
    }
