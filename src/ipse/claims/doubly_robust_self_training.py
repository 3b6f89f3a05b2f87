"""Doubly robust self-training stands a weak teacher."""

from __future__ import annotations

from ipse.claims import Claim, accuracy, few_labels, pictures, selftrained

CLAIM = Claim(
    statement="With a teacher that is often wrong, correcting its labels where the truth is known gives a better student than taking them for true.",
    setting="scikit-learn's digits, 1,200 to learn from of which 200 have a label, 500 to test; the teacher knows 20 labels, the student the other "
    "180; small_conv, batch 64, 600 steps, half of them the teacher's",
    measure="test accuracy",
    unit="%",
    tried="Both arms share teacher, batches (a quarter labelled), learning rate and steps; neither was tuned. The further arms: the labels alone, "
    "the teacher's labels alone, and both students of a teacher that knows all labels.",
)


def run(seed: int, long: bool) -> dict[str, float]:
    data = few_labels(pictures("digits", 1200, 500, seed), 20, seed)
    words = {"batch_size": 64, "steps": 4000 if long else 600, "lr": 2e-3}

    def score(method: str, apart: float = 0.1, **settings: float) -> float:
        return accuracy(selftrained(data, seed, method=method, set={"apart": apart, **settings}, **words), data)

    return {
        "doubly robust": score("doubly-robust-self-training"),
        "plain self-training": score("plain-self-training"),
        "pseudo-labels alone": score("doubly-robust-self-training", correction=0.0),
        "labels alone": accuracy(selftrained(data, seed, method="supervised", **words), data),
        "doubly robust, good teacher": score("doubly-robust-self-training", apart=0.0),
        "plain, good teacher": score("plain-self-training", apart=0.0),
    }
