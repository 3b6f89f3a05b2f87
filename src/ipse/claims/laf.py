"""Forgetting without labels."""

from __future__ import annotations

from ipse.claims import Claim, pictures
from ipse.claims.harness.forgetting import Case, one_class

CLAIM = Claim(
    statement="Label-agnostic forgetting brings a class from nearly always to at most a quarter named rightly, without any label.",
    setting="MNIST, 4,000 digits to learn from, 1,000 to test; small_conv (8, 16, 32), the digit 3 forgotten, 20 epochs",
    measure="share of the forgotten class that is still named rightly",
    unit="%",
    kind="at_most",
    bound=0.25,
    seeds=3,
    tried="Nothing yet: learning rates and temperature are those of the authors' network on MNIST.",
)


def run(seed: int, long: bool) -> dict[str, float]:
    data = pictures("mnist5k", 4000, 1000, seed)
    case = Case(data, one_class(data, "3"), seed, epochs=8)
    now, before = case.audit(case.after("laf", epochs=60 if long else 20)), case.before()
    return {
        "LAF": now["forget-accuracy"],
        "before": before["forget-accuracy"],
        "other digits on test, LAF": now["test-accuracy"],
        "other digits on test, before": before["test-accuracy"],
    }
