"""Naming the sample is enough to learn from."""

from __future__ import annotations

from ipse.claims import Claim, pictures, pretrained, probe

CLAIM = Claim(
    statement="Predicting the index of each sample learns as well as SimCLR, without projector, pairs or negatives: within 2 points.",
    setting="Fashion-MNIST, 2,000 pictures to learn from, 2,000 to test; small_conv, batch 256, 160 steps of one view against 80 of two",
    measure="linear probe accuracy",
    unit="%",
    kind="within",
    bound=0.02,
    seeds=3,
    tried="DIET at the paper's only setting (smoothing 0.8, AdamW, lr 1e-3, decay 0.05); SimCLR at temperature 0.2, lr 1e-3; as many views.",
)


def run(seed: int, long: bool) -> dict[str, float]:
    data = pictures("fashion-mnist", 2000, 2000, seed)
    steps = 1200 if long else 80
    ours = probe(pretrained(data, seed, method="diet", steps=2 * steps), data, "linear")["linear"]
    return {"DIET": ours, "SimCLR": probe(pretrained(data, seed, method="simclr", steps=steps), data, "linear")["linear"]}
