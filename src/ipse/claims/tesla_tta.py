"""Self-learning under an adversarial augmentation errs less than entropy minimisation."""

from __future__ import annotations

from ipse.claims import Claim, pictures
from ipse.claims.harness.adapting import classifier, errors

KINDS = ("gaussian_noise", "defocus_blur", "contrast")

CLAIM = Claim(
    statement="In one pass over corrupted pictures, TeSLA errs less than Tent, which moves scale and shift by entropy alone.",
    setting=(
        "Fashion-MNIST, 4,000 pictures to learn from, 1,024 to test under each of three corruptions of severity 5, batch 128, "
        "the source anew for each; small_conv (16, 32, 64), 400 steps; one step of either on each batch, TeSLA at lr 1e-3 and "
        "decay 0.9, Tent at lr 3e-3. TeSLA makes about seven passes where Tent makes one"
    ),
    measure="error as the samples come",
    kind="less",
    unit="%",
    seeds=5,
    tried=(
        "All on seed 100 but where 101 is named. Batches of 64, decay 0.99, lr 1e-3, 3e-3: error 31.6, 31.7 %; decay 0.9: "
        "32.1, 34.2 %; Tent at lr 3e-3, 1e-2: 31.6, 32.1 %. Batches of 128, decay 0.9, lr 1e-3: 31.5 %; without the hard view "
        "31.7 %; Tent at lr 3e-3: 31.8 %; new statistics alone 31.9 %. Three passes first: TeSLA 32.8 %, Tent 31.5 %. With "
        "widths (32, 64, 128) under six corruptions, batches of 64, 1,000 steps: TeSLA at lr 1e-3, 3e-3 25.0, 24.7 %, Tent at "
        "its best 24.9 %, new statistics 25.1 %; with 500 steps (101): 27.8 % at 3e-4 and 1e-3, Tent 27.5 %. The decay is 0.9, "
        "not 0.99, for in 8 batches the teacher would hardly move."
    ),
)


def run(seed: int, long: bool) -> dict[str, float]:
    data = pictures("fashion-mnist", 4000, 4096 if long else 1024, seed)
    model = classifier(data, seed, 1500 if long else 400, options={"widths": (16, 32, 64)})
    words = {"corrupt": KINDS, "batch_size": 128, "reset": "segment"}
    ours = errors(model, data, seed, "tesla-tta", set={"lr": 1e-3, "decay": 0.9}, **words)
    tent = errors(model, data, seed, "tent", set={"lr": 3e-3}, **words)
    return {"TeSLA": ours["tesla-tta"], "Tent": tent["tent"], "new statistics": ours["bn-adapt"], "unadapted": ours["source"]}
