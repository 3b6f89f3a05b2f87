"""Whitening replaces negatives."""

from __future__ import annotations

from ipse.claims import Claim, pictures, pretrained, probe

CLAIM = Claim(
    statement="Pulling views together after whitening, without negatives, learns as well as SimCLR's contrast: within 2 points.",
    setting="CIFAR-10, 5,000 pictures to learn from, 2,000 to test; small_conv, batch 256, 80 steps, two views",
    measure="kNN accuracy",
    unit="%",
    kind="within",
    bound=0.02,
    seeds=3,
    tried="W-MSE at the paper's width 64 in sub-batches of 128; SimCLR at temperature 0.2; both with AdamW at lr 1e-3.",
)


def run(seed: int, long: bool) -> dict[str, float]:
    data = pictures("cifar10", 5000, 2000, seed)
    words = {"steps": 1500 if long else 80}
    ours = probe(pretrained(data, seed, method="w-mse", **words), data, "knn")["knn"]
    return {"W-MSE": ours, "SimCLR": probe(pretrained(data, seed, method="simclr", **words), data, "knn")["knn"]}
