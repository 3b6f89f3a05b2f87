"""A third view and a second teacher help BYOL with small batches."""

from __future__ import annotations

from ipse.claims import Claim, pictures, pretrained, probe

CLAIM = Claim(
    statement="With 32 samples per batch, three views and two teachers learn better neighbours than BYOL from as many views.",
    setting="CIFAR-10, 5,000 pictures to learn from, 2,000 to test; small_conv, batch 32, 240 steps of three views against 360 of two",
    measure="kNN accuracy",
    unit="%",
    seeds=3,
    tried="Both with AdamW at lr 5e-4 and teachers' decay 0.99; equal numbers of views, and so of forward passes of the student.",
)


def run(seed: int, long: bool) -> dict[str, float]:
    data = pictures("cifar10", 5000, 2000, seed)
    steps = 4000 if long else 240

    def learned(method: str, steps: int) -> float:
        words = {"set": {"hidden": 1024, "width": 128}, "batch_size": 32, "lr": 5e-4}
        return probe(pretrained(data, seed, method=method, steps=steps, **words), data, "knn")["knn"]

    return {"TriBYOL": learned("tribyol", steps), "BYOL": learned("byol", steps * 3 // 2)}
