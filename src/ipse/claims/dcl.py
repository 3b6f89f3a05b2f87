"""Decoupled contrastive learning keeps learning from small batches."""

from __future__ import annotations

from ipse.claims import Claim, pictures, pretrained, probe

CLAIM = Claim(
    statement="With 32 samples per batch, leaving the positive pair out of the denominator gives better neighbours than SimCLR.",
    setting="CIFAR-10, 5,000 pictures to learn from, 2,000 to test; small_conv, batch 32, 300 steps of AdamW at lr 5e-4",
    measure="kNN accuracy",
    unit="%",
    seeds=3,
    tried="SimCLR has its best temperature of 0.1 and 0.2 for each seed, DCL the paper's 0.1; both have the same learning rate.",
)


def run(seed: int, long: bool) -> dict[str, float]:
    data = pictures("cifar10", 5000, 2000, seed)
    words = {"batch_size": 32, "steps": 6000 if long else 300, "lr": 5e-4}
    ours = probe(pretrained(data, seed, method="dcl", **words), data, "knn")["knn"]
    baselines = {
        t: probe(pretrained(data, seed, method="simclr", set={"temperature": t}, **words), data, "knn")["knn"]
        for t in (0.1, 0.2)
    }
    return {"DCL": ours, "SimCLR": max(baselines.values()), **{f"SimCLR at {t}": v for t, v in baselines.items()}}
