"""Decoupled contrastive learning keeps learning from small batches."""

from __future__ import annotations

from ipse.claims import Claim, pictures, pretrained, probe

CLAIM = Claim(
    statement="With 32 samples per batch, leaving the positive pair out of the denominator gives a better representation than SimCLR.",
    setting="MNIST, 4,000 digits to learn from, 1,000 to test; small_conv, batch 32, 400 steps of AdamW at lr 5e-4",
    measure="linear probe accuracy",
    unit="%",
    seeds=5,
    tried=(
        "Of the temperatures 0.1 and 0.2, both methods take 0.2, which was the better one for either on another draw of the data (seed 100: DCL 92.9 "
        "and 94.3 %, SimCLR 92.5 and 92.7 %); equal learning rate and steps. Before that, 300 steps on 5,000 pictures of CIFAR-10 with 3 seeds and a "
        "projector without final batch normalisation: +0.1 points of kNN accuracy [-2.5, 2.7]."
    ),
)


def run(seed: int, long: bool) -> dict[str, float]:
    data = pictures("mnist5k", 4000, 1000, seed)

    def learned(method: str) -> dict[str, float]:
        words = {"batch_size": 32, "steps": 6000 if long else 400, "lr": 5e-4, "set": {"temperature": 0.2}}
        return probe(pretrained(data, seed, method=method, **words), data, "linear", "knn")

    ours, baseline = learned("dcl"), learned("simclr")
    return {"DCL": ours["linear"], "SimCLR": baseline["linear"], "kNN, DCL": ours["knn"], "kNN, SimCLR": baseline["knn"]}
