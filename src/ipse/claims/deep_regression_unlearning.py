"""A network that never saw them shows how numbers are forgotten."""

from __future__ import annotations

from typing import Any

from ipse.claims import Claim, pictures
from ipse.claims.harness.forgetting import Case

CLAIM = Claim(
    statement="Imitating a blindspot network brings the numbers for forgotten samples nearer to those of the retrained model than fine-tuning.",
    setting="MNIST, 4,000 digits to learn from, 1,000 to test; small_conv (8, 16, 32) says the number that the digit is; 0 to 2 forgotten",
    measure="Wasserstein distance of the numbers for forgotten samples from those of the retrained model",
    kind="less",
    seeds=3,
    tried="Nothing yet: the paper's settings; 1 epoch of unlearning, 2 of the blindspot network, 5 of fine-tuning at lr 0.01.",
)


def run(seed: int, long: bool) -> dict[str, float]:
    from ipse.metrics.unlearning import look, wasserstein

    data = pictures("mnist5k", 4000, 1000, seed)
    case = Case(data, data.train.y <= 2, seed, epochs=30 if long else 12, says="numbers")
    gold = look(case.retrained, case.forget).numbers

    def distance(method: str, **settings: Any) -> float:
        said = look(case.after(method, **settings), case.forget).numbers
        assert said is not None
        assert gold is not None
        return wasserstein(said, gold)

    return {
        "blindspot": distance("deep-regression-unlearning", how="blindspot"),
        "fine-tuning": distance("fine-tune", epochs=5, lr=0.01),
        "amnesiac": distance("deep-regression-unlearning", how="amnesiac"),
    }
