"""Robust pseudo-labels bear more learning rates than entropy."""

from __future__ import annotations

from ipse.claims import Claim, pictures
from ipse.claims.harness.adapting import classifier, errors

RATES = (0.01, 0.1, 1.0)
KINDS = ("gaussian_noise", "defocus_blur", "contrast")

CLAIM = Claim(
    statement=(
        "Over learning rates from a tenth to ten times the best one, self-learning errs less with robust pseudo-labels than "
        "with entropy."
    ),
    setting=(
        "Fashion-MNIST, 4,000 pictures to learn from, 512 to test under each of three corruptions of severity 5, batch 64, the "
        "source anew for each, two passes before they are judged; small_conv (16, 32, 64), 400 steps; SGD at lr 0.01, 0.1 and "
        "1, the same steps for both"
    ),
    measure="error after the passes, mean over three learning rates",
    kind="less",
    unit="%",
    seeds=5,
    tried=(
        "On seed 100, lr 0.03, 0.1, 0.3, 1, 3. Robust: error 32.5, 32.0, 32.4, 37.4, 41.1 %; entropy: 32.6, 31.8, 34.8, 40.3, "
        "45.2 %; new statistics alone: 32.9 %. The best rate is 0.1 for both, so that is the middle. With rates around 0.01, "
        "as before, neither moved the error by half a point."
    ),
)


def run(seed: int, long: bool) -> dict[str, float]:
    data = pictures("fashion-mnist", 4000, 2048 if long else 512, seed)
    model = classifier(data, seed, 1500 if long else 400, options={"widths": (16, 32, 64)})
    passes, key = 5 if long else 2, "rpl-self-learning"

    def error(loss: str, lr: float) -> float:
        return errors(model, data, seed, key, corrupt=KINDS, passes=passes, set={"loss": loss, "lr": lr})[key]

    found = {loss: [error(loss, lr) for lr in RATES] for loss in ("rpl", "ent")}
    plain = errors(model, data, seed, "bn-adapt", corrupt=KINDS)
    return {
        "robust": sum(found["rpl"]) / len(RATES),
        "entropy": sum(found["ent"]) / len(RATES),
        "robust, lr 0.1": found["rpl"][1],
        "entropy, lr 0.1": found["ent"][1],
        "robust, lr 1": found["rpl"][2],
        "entropy, lr 1": found["ent"][2],
        "new statistics": plain["bn-adapt"],
        "unadapted": plain["source"],
    }
