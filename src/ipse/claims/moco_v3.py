"""A frozen patch projection steadies the training of vision transformers."""

from __future__ import annotations

from ipse.claims import Claim, pictures, pretrained, probe

CLAIM = Claim(
    statement="At a high learning rate, a vision transformer whose patch projection stays random learns better than one that trains it.",
    setting="MNIST, 4,000 digits to learn from, 1,000 to test; tiny_vit (width 96, depth 4), batch 128, 50 steps at lr 5e-3",
    measure="kNN accuracy",
    unit="%",
    seeds=3,
    tried="lr 5e-3 is some 30 times the paper's rate for this batch, where it reports the instability; warm-up is the method's.",
)


def run(seed: int, long: bool) -> dict[str, float]:
    data = pictures("mnist5k", 4000, 1000, seed)

    def learned(frozen: bool) -> float:
        settings = {"frozen_patches": frozen, "widths": [1024, 1024, 256], "predictor": 1024}
        words = {"encoder": "tiny_vit", "batch_size": 128, "steps": 900 if long else 50, "lr": 5e-3}
        return probe(pretrained(data, seed, method="moco-v3", set=settings, **words), data, "knn")["knn"]

    return {"frozen projection": learned(True), "trained projection": learned(False)}
