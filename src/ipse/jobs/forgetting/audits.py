"""What is left of what was to be forgotten, in numbers and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ipse.data import Samples
    from ipse.metrics.unlearning import Seen
    from ipse.models import Classifier

LOOKED = 2000  # samples of each part that an attack looks at

Numbers = dict[str, float]


class Meaning(NamedTuple):
    """How to read a number of the audit; percent: it is a share; wanted: what is aimed at ('high', 'low', or 'gold': the retrained model's)."""

    text: str
    percent: bool = True
    wanted: str = "gold"


MEANINGS: Mapping[str, Meaning] = {
    "forget-accuracy": Meaning("Share of the forgotten samples that the model still names rightly."),
    "forget-error": Meaning("Mean absolute error on the forgotten samples.", percent=False),
    "retain-accuracy": Meaning("Share of the kept samples that it names rightly.", wanted="high"),
    "retain-error": Meaning("Mean absolute error on the kept samples.", percent=False, wanted="low"),
    "test-accuracy": Meaning("The same of samples it never saw, of the classes that it keeps.", wanted="high"),
    "test-error": Meaning("The same of samples it never saw.", percent=False, wanted="low"),
    "recovered-accuracy": Meaning(
        "Share of the forgotten samples named rightly by the original head, after one linear map of the features that was fitted without any of them."
    ),
    "recovered-error": Meaning("Error of the original head after the same map of the features.", percent=False),
    "recovered-scores": Meaning("The same with a map to the original's scores instead of its features."),
    "cka": Meaning(
        "How alike the features of the forgotten samples are to what they were, from 0 to 1 (linear CKA).", percent=False
    ),
    "entropy": Meaning("Mean entropy of what it says of the forgotten samples; high is undecided.", percent=False),
    "membership-auc": Meaning("How well their loss tells the forgotten samples from ones never seen: 50 % is guessing."),
    "membership-accuracy": Meaning("The same as the share that is told right, kinds weighing alike."),
    "confidence-auc": Meaning("How well a small classifier on all it says tells the two apart: 50 % is guessing."),
    "confidence-accuracy": Meaning("The same as the share that is told right."),
    "called-member": Meaning("Share of the forgotten samples that an attack takes for ones it learned from."),
    "relearn-steps": Meaning(
        "Steps of relearning until the forgotten samples are within 5 % of what they were.", percent=False
    ),
    "disagreement": Meaning("Share of the forgotten samples named otherwise than by the retrained model.", wanted="low"),
    "js-divergence": Meaning(
        "How differently it and the retrained model speak of them (0 to 0.693).", percent=False, wanted="low"
    ),
    "wasserstein": Meaning("How far its numbers for them lie from the retrained model's.", percent=False, wanted="low"),
}


def audit(
    model: Classifier,
    original: Classifier,
    gold: Classifier | None,
    forget: Samples,
    retain: Samples,
    unseen: Samples | None,
    *,
    full: bool = True,
    seed: int = 0,
    is_gold: bool = False,
) -> dict[str, Any]:
    """All that can be said of a model that was to forget: the numbers of it, of the original and of a retrained one, and findings.

    unseen: samples that none of them learned from; without them nothing is said of membership. full: with relearning and the
    classifier on confidences. is_gold: the model itself was retrained.
    """
    import numpy as np

    from ipse.metrics.unlearning import relearn_steps

    whole = not np.isin(retain.y, np.unique(forget.y)).any()
    parts = {"forget": _some(forget), "retain": _some(retain), "unseen": None if unseen is None else _some(unseen)}
    models = {"original": original, "forgotten": model} | ({"retrained": gold} if gold is not None else {})
    seen = {name: _seen(one, parts) for name, one in models.items()}
    numbers = {name: _numbers(one, seen[name], original, seen["original"], seed, full) for name, one in models.items()}
    if full:
        from ipse.models import Regressor

        first = numbers["original"]
        goal = 1.05 * first["forget-error"] if isinstance(original, Regressor) else 0.95 * first["forget-accuracy"]
        learn = _joined(forget, retain)
        for name, one in models.items():
            if name != "original":
                numbers[name]["relearn-steps"] = relearn_steps(one, learn, parts["forget"] or forget, goal, seed=seed)
    if gold is not None:
        for name in ("original", "forgotten"):
            numbers[name] |= _distance(seen[name]["forget"], seen["retrained"]["forget"])
    found: dict[str, Any] = {
        "samples": len(forget),
        "whole-classes": whole,
        "retrained": is_gold,
        "classes": len(original.classes),
        **numbers_by(numbers),
    }
    if "retrained" in numbers and full:
        found["ain"] = _ratio(numbers["forgotten"]["relearn-steps"], numbers["retrained"]["relearn-steps"])
    return found | {"findings": findings(found)}


def numbers_by(numbers: Mapping[str, Numbers]) -> dict[str, Any]:
    """The numbers of each model under its name."""
    return {"models": {name: dict(values) for name, values in numbers.items()}}


def findings(found: Mapping[str, Any]) -> list[str]:
    """What the numbers say, in plain sentences, the verdict first."""
    models = found["models"]
    now, first, gold = models["forgotten"], models["original"], models.get("retrained")
    whole = found["whole-classes"]
    numbers = "forget-error" in now
    said: list[str] = []
    if found["retrained"]:
        return [
            f"This model learned anew without the {found['samples']} samples: it is what the others are measured by.",
            *_lost(now, first, None),
        ]

    outputs, reference = _outputs(now, first, gold, whole, numbers)
    if not outputs and whole and (undecided := _undecided(now, found.get("classes", 0))):
        outputs, reference = True, undecided
        now = {**now, "forget-accuracy": 0.0}  # which class comes first is chance
    inside = [*_recovery(now, first, gold, whole, numbers), *_relearning(found, gold)]
    traces = [*inside, *_membership(now, gold)]
    if not outputs:
        said.append(f"It has not forgotten: {reference}.")
    elif traces:
        but = "what it learned is still inside" if inside else "how it treats them gives away what they were"
        said.append(f"It only pretends to forget: {reference}, but {but}.")
    else:
        said.append(f"It has forgotten, as far as this audit can see: {reference}, and no attack found them.")
    said += traces
    said += _too_much(now, first, gold, whole, numbers)
    said += _lost(now, first, gold)
    if gold is None:
        said.append(
            "There was no retrained model to compare with: --gold retrain makes one, and only it shows what cannot be forgotten."
        )
    if "membership-auc" not in now:
        said.append("Whether membership can still be told is not known: the data has no samples that the model never saw.")
    return said


def plain(value: Any) -> Any:
    """The same for JSON: numbers that are none become null."""
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _outputs(now: Numbers, first: Numbers, gold: Numbers | None, whole: bool, numbers: bool) -> tuple[bool, str]:
    """Whether what it says has forgotten, and that in words."""
    if numbers:
        same = f"its error on the forgotten samples is {now['forget-error']:.3g}, where it was {first['forget-error']:.3g}"
        if gold is None:
            return now["forget-error"] > 1.2 * first["forget-error"], same
        half = first["forget-error"] + 0.5 * (gold["forget-error"] - first["forget-error"])
        return now["forget-error"] >= half, f"{same} and that of the retrained model is {gold['forget-error']:.3g}"
    usual = gold["forget-accuracy"] if gold else 0.0 if whole else first.get("test-accuracy", first["forget-accuracy"])
    beside = f", the retrained model {gold['forget-accuracy']:.1%}" if gold else ""
    text = f"it names {now['forget-accuracy']:.1%} of the forgotten samples rightly, where it was {first['forget-accuracy']:.1%}{beside}"
    return now["forget-accuracy"] <= usual + (0.1 if whole else 0.03), text


def _undecided(now: Numbers, classes: int) -> str:
    """In words, that it says as good as nothing of the forgotten samples, whichever class comes first then; '' where it does."""
    most = math.log(max(classes, 1))
    if not most or now.get("entropy", 0.0) < 0.95 * most:
        return ""
    return f"it is undecided about the forgotten samples, with an entropy of {now['entropy']:.2f} nats of at most {most:.2f}"


def _recovery(now: Numbers, first: Numbers, gold: Numbers | None, whole: bool, numbers: bool) -> list[str]:
    how = "One linear map of its features, fitted without any of the forgotten samples, "
    if numbers:
        back = now["recovered-error"]
        if back < 1.3 * first["forget-error"] and back < 0.8 * now["forget-error"]:
            return [f"{how}brings the error on them back to {back:.3g}."]
        return []
    back, usual = (
        now["recovered-accuracy"],
        gold["recovered-accuracy"] if gold else 0.0 if whole else first.get("test-accuracy", 1.0),
    )
    if back > usual + 0.1 and back > now["forget-accuracy"] + 0.1:
        beside = f"; of the retrained model it recovers {gold['recovered-accuracy']:.1%}" if gold else ""
        return [f"{how}recovers {back:.1%} of {'the forgotten class' if whole else 'them'}{beside}."]
    return []


def _membership(now: Numbers, gold: Numbers | None) -> list[str]:
    found = []
    for name, what in (("membership", "by its loss"), ("confidence", "by all it says")):
        if f"{name}-auc" not in now:
            continue
        auc, accuracy = now[f"{name}-auc"], now[f"{name}-accuracy"]
        usual = max(gold[f"{name}-auc"], 1 - gold[f"{name}-auc"]) if gold else 0.5
        if max(auc, 1 - auc) > max(0.6, usual + 0.05):
            way = "" if auc >= 0.5 else ": it treats them unlike any other, which gives them away"
            told = f"{accuracy:.0%} are told from samples never seen, where guessing is 50 % (AUC {auc:.2f})"
            found.append(f"A membership attack still finds them {what}: {told}{way}.")
    return found


def _relearning(found: Mapping[str, Any], gold: Numbers | None) -> list[str]:
    steps = found["models"]["forgotten"].get("relearn-steps")
    if steps is None or gold is None:
        return []
    usual = gold["relearn-steps"]
    if usual >= 4 and steps < 0.5 * usual:
        return [f"It relearns them in {steps:.0f} steps, where the retrained model takes {usual:.0f}."]
    return []


def _too_much(now: Numbers, first: Numbers, gold: Numbers | None, whole: bool, numbers: bool) -> list[str]:
    if numbers or whole:
        return []
    usual = gold["forget-accuracy"] if gold else first.get("test-accuracy")
    if usual is not None and now["forget-accuracy"] < usual - 0.1:
        return [
            f"It forgets more than there was to forget: a model that never saw them would name {usual:.1%} rightly, which can itself be noticed."
        ]
    return []


def _lost(now: Numbers, first: Numbers, gold: Numbers | None) -> list[str]:
    part = "test" if f"test-{_kind(now)}" in now else "retain"
    name = f"{part}-{_kind(now)}"
    where = "samples it never saw" if part == "test" else "the samples it keeps"
    if name.endswith("error"):
        usual = (gold or first)[name]
        return (
            [f"It has lost more than it should: its error on {where} rose from {first[name]:.3g} to {now[name]:.3g}."]
            if now[name] > 1.2 * usual
            else []
        )
    usual = min(first[name], gold[name]) if gold else first[name]
    return (
        [f"It has lost more than it should: of {where} it names {now[name]:.1%} rightly, where it was {first[name]:.1%}."]
        if now[name] < usual - 0.05
        else []
    )


def _kind(now: Numbers) -> str:
    return "error" if "forget-error" in now else "accuracy"


def _some(samples: Samples) -> Samples:
    import numpy as np

    return samples.subset(np.linspace(0, len(samples) - 1, min(LOOKED, len(samples))).astype(np.int64))


def _seen(model: Classifier, parts: Mapping[str, Samples | None]) -> dict[str, Seen]:
    from ipse.metrics.unlearning import look

    return {name: look(model, part) for name, part in parts.items() if part is not None and len(part)}


def _numbers(
    model: Classifier, seen: Mapping[str, Seen], original: Classifier, before: Mapping[str, Seen], seed: int, full: bool
) -> Numbers:
    """All numbers of one model that need no other than the original."""
    import torch

    from ipse.metrics import unlearning as u

    few, many, unseen = seen["forget"], seen["retain"], seen.get("unseen")
    gone = few.y.unique()
    whole = not torch.isin(many.y, gone).any()
    numbers = few.numbers is not None
    values: Numbers = {}

    def judge(name: str, part: Seen) -> None:
        if numbers:
            values[f"{name}-error"] = part.error
        else:
            values[f"{name}-accuracy"] = part.accuracy

    judge("forget", few)
    judge("retain", many)
    alike = unseen
    if unseen is not None:
        here = torch.isin(unseen.y, gone)
        judge("test", _taken(unseen, (unseen.y >= 0) & ~(here if whole else torch.zeros_like(here))))
        alike = _taken(unseen, here) if int(here.sum()) >= 10 else unseen
    w = u.recovery_map(many.features, before["retain"].features)
    back = u.said(original, u.recovered(few.features, w), few.y)
    if numbers:
        values["recovered-error"] = back.error
    else:
        values["recovered-accuracy"] = back.accuracy
        scores = u.recovered(few.features, u.recovery_map(many.features, before["retain"].scores))
        values["recovered-scores"] = float((scores.argmax(1) == few.y).double().mean())
    values["cka"] = u.linear_cka(few.features, before["forget"].features)
    if not numbers:
        values["entropy"] = float(u.entropy(few.scores).mean())
    if alike is not None and len(alike.y) >= 10 and len(few.y) >= 10:
        values["membership-auc"], values["membership-accuracy"] = u.threshold_attack(few.loss, alike.loss)
        if full:
            values["confidence-auc"], values["confidence-accuracy"] = u.confidence_attack(
                few.confidence, alike.confidence, seed
            )
    if unseen is not None and len(unseen.y) >= 10:
        values["called-member"] = u.called_member(many.loss, unseen.loss, few.loss, seed)
    return {name: value for name, value in values.items() if math.isfinite(value)}


def _taken(seen: Seen, where: Any) -> Seen:
    """What was seen of some of the samples."""
    from dataclasses import fields

    from ipse.metrics.unlearning import Seen

    whole = {field.name: getattr(seen, field.name) for field in fields(Seen)}
    some: dict[str, Any] = {name: None if value is None else value[where] for name, value in whole.items()}
    return Seen(**some)


def _distance(now: Seen, gold: Seen) -> Numbers:
    from ipse.metrics import unlearning as u

    if now.numbers is not None and gold.numbers is not None:
        return {"wasserstein": u.wasserstein(now.numbers, gold.numbers)}
    return {"disagreement": u.disagreement(now.scores, gold.scores), "js-divergence": u.js_divergence(now.scores, gold.scores)}


def _joined(forget: Samples, retain: Samples) -> Samples:
    """All samples, in one; both are parts of the same."""
    import numpy as np

    assert forget._rows is not None
    assert retain._rows is not None
    whole = retain.relabelled(np.concatenate([retain.y, forget.y]))
    whole._rows = np.concatenate([retain._rows, forget._rows])
    whole.group = None
    return whole


def _ratio(a: float, b: float) -> float:
    return a / b if b else (1.0 if a == b else math.inf)
