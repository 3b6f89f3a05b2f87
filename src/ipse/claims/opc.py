"""One-point contraction forgets in the features, not only in what the head says."""

from __future__ import annotations

from ipse.claims import Claim, pictures
from ipse.claims.harness.forgetting import Case, one_class

CLAIM = Claim(
    statement="After one-point contraction a linear map of the features recovers less of a forgotten class than after random labels.",
    setting="Fashion-MNIST, 3,000 pictures to learn from, 1,000 to test; small_conv (8, 16, 32), the class 'sneaker' forgotten",
    measure="share of the forgotten class that a linear map of the features, fitted to kept samples, brings back to the original head",
    unit="%",
    kind="less",
    seeds=3,
    tried="Nothing yet: both methods at their defaults, 10 epochs each.",
)


def run(seed: int, long: bool) -> dict[str, float]:
    data = pictures("fashion-mnist", 30000 if long else 3000, 1000, seed)
    case = Case(data, one_class(data, "sneaker"), seed, epochs=12)
    arms = {
        name: case.audit(case.after(key, epochs=10))
        for name, key in (("OPC", "opc"), ("random labels", "random-labels"), ("fine-tuning", "fine-tune"))
    }
    recovered = {name: numbers["recovered-accuracy"] for name, numbers in arms.items()}
    recovered["retrained"] = case.gold()["recovered-accuracy"]
    return recovered | {
        "still named, OPC": arms["OPC"]["forget-accuracy"],
        "still named, random labels": arms["random labels"]["forget-accuracy"],
        "kept classes on test, before": case.before()["test-accuracy"],
        "kept classes on test, OPC": arms["OPC"]["test-accuracy"],
        "CKA to the original, OPC": arms["OPC"]["cka"],
    }
