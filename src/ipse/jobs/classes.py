"""What a run of a classifier has beyond its encoder: how sure it is, what it says of every sample, and how it stands to its teacher."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ipse.jobs.evaluate import graded, measure, own_test
from ipse.jobs.files import whole
from ipse.jobs.run import Run

if TYPE_CHECKING:
    from torch import nn

    from ipse.data import Data, Samples
    from ipse.jobs.teachers import Teacher
    from ipse.models import Classifier
    from ipse.reports import Verdicts

ROWS, LIMIT = 4096, 10_000
BASELINES = ("self-training", "label-spreading")


def finish(run: Run, data: Data, teacher: Teacher | None, limit: int) -> dict[str, Any]:
    """Calibrates the classifier of a run, writes predictions.csv, and gives the lines of the log: `start`, `evaluation` and more."""
    from ipse.jobs.settings import build, lessons
    from ipse.metrics.classification import MEASURES, judged
    from ipse.models import save_classifier

    config = run.config
    model = run.classifier
    notes = calibrate(model, data, config)
    save_classifier(model, run.path)
    predict(run, model, data)
    tested = own_test(run, data)
    if tested.test is None:
        notes.append(
            "No label was held out and there is no test part with labels: how often the classifier is right is not known."
        )
    elif tested.test is not data.test:
        what = "labels" if tested.test.masks is None else "masks"
        notes.append(f"Judged by {len(tested.test):,} {what} that were held out from learning.")
    grades = model if tested.test is not None else None
    first = build(config, lessons(data, config), teacher).encoder.eval()
    start = measure(first, tested, limit=limit, also=BASELINES)
    evaluation = measure(model.encoder, tested, limit=limit, also=BASELINES, model=grades)
    if grades is not None:
        raw, y = judged(model, graded(model.classes, tested, limit))
        start |= {name: MEASURES[name](raw, y) for name in ("calibration-error", "negative-log-likelihood")}
    line = {"start": start, "evaluation": evaluation, "notes": notes}
    return line | ({"models": compare(run, tested, model, teacher, limit)} if teacher is not None else {})


def calibrate(model: Classifier, data: Data, config: Mapping[str, Any]) -> list[str]:
    """Fits the temperature of a classifier on the labels that were held out; leaves it at 1 where they are too few, and says so."""
    from ipse.jobs.settings import fewest, held_out
    from ipse.metrics.classification import fit_temperature, judged

    held = held_out(data, config)
    what = "labels" if held.masks is None else "masks"
    if len(held) < (enough := fewest(held)):
        some = f"{len(held)} {what} were" if len(held) else f"no {what[:-1]} was"
        return [f"Confidences are not calibrated: {some} held out from learning, and that takes at least {enough} (--holdout)."]
    model.temperature.fill_(fit_temperature(*judged(model, held)))
    return [
        f"Confidences are calibrated on {len(held):,} {what} held out from learning: temperature {float(model.temperature):.3g}."
    ]


def predict(run: Run, model: Classifier, data: Data) -> None:
    """Writes the class of every sample to learn from, how likely it is, and the label that was given, to predictions.csv; masks for classes of pixels."""
    import torch

    if data.train.masks is not None:
        from ipse.jobs.segmenting import predict_masks

        return predict_masks(run, model, data)

    from ipse.metrics.classification import scores

    with whole(run.predictions) as draft, open(draft, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["name", "label", "confidence", "given"])
        for index in torch.arange(len(data.train)).split(ROWS):
            part = data.train.subset(index)
            confidence, guess = (scores(model, part) / model.temperature).softmax(-1).max(-1)
            for name, c, p, y in zip(part.names, guess.tolist(), confidence.tolist(), part.y.tolist(), strict=True):
                rows.writerow([name, model.classes[c], f"{p:.4f}", data.classes[y] if y >= 0 else ""])


def compare(run: Run, data: Data, model: Classifier, teacher: Teacher, limit: int) -> list[dict[str, Any]]:
    """The size and the accuracy of the teacher, the student and, where it was trained, the student from scratch."""
    rows: dict[str, nn.Module] = {"teacher": teacher.model.model.cpu(), "student": model}
    if (run.path / "scratch" / "head.safetensors").exists():
        rows["student from scratch"] = Run(run.path / "scratch").classifier
    part = None if data.test is None else graded(model.classes, data, limit)
    return [{"name": name, **facts(one, data.train, part)} for name, one in rows.items()]


def facts(model: nn.Module, samples: Samples, part: Samples | None) -> dict[str, Any]:
    """How many parameters a model has, how many multiply-adds one sample takes, and how often it is right on a part with labels."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from ipse.metrics.classification import accuracy, scores
    from ipse.transforms import viewer

    x = viewer(samples.form).original(samples.read([0])).x
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(x)
    right = None if part is None or not len(part) else accuracy(scores(model, part), _tensor(part.y))
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "multiply_adds": counter.get_total_flops() // 2,
        "accuracy": right,
    }


def verdicts(run: Run, data: Data) -> Verdicts:
    """What the report shows of a classifier, judged on the labels of data; of its own data, by those that it did not learn from."""
    from ipse.metrics.classification import confusion, judged, reliability
    from ipse.reports.verdicts import Verdicts, bins

    model, models = run.classifier, run.judgement.get("models", ())
    part = graded(model.classes, data, LIMIT)
    if not len(part) or (data.test is None and data.key == run.config["data_key"]):
        return Verdicts(models=models)
    raw, y = judged(model, part)
    after, before = (bins(*(column.tolist() for column in reliability(s, y))) for s in (raw / model.temperature, raw))
    return Verdicts(model.classes, confusion(raw, y).numpy(), after, before if after != before else (), models)


def _tensor(y: Any) -> Any:
    import torch

    return torch.as_tensor(y)
