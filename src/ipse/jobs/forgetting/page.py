"""The report of a run that has forgotten, and its table."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipse import __version__
from ipse.errors import UserError
from ipse.jobs.forgetting.audits import MEANINGS
from ipse.jobs.run import Run

if TYPE_CHECKING:
    from ipse.data import Data, Samples

SHOWN, QUERIES, NEIGHBOURS = 1500, 12, 8


def audited(run: Run) -> dict[str, Any]:
    """The audit of a run; empty when there was none."""
    path = run.path / "audit.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as e:
        raise UserError(f"{path} is damaged: {e}") from e
    return found


def write_page(run: Run, data: Data, learned: Samples | None = None, path: Path | None = None) -> Path:
    """Writes the report of a run that has forgotten; `learned`: what the first training learned from."""
    import numpy as np

    from ipse import papers
    from ipse.data.form import described
    from ipse.jobs.forgetting import lists
    from ipse.metrics.embedding import embeddings
    from ipse.metrics.rank import spectrum
    from ipse.reports import Measure, Report, portray, write
    from ipse.reports.embedding_map import embedding_map, neighbours

    config, found, encoder = run.config, audited(run), run.encoder
    samples = data.train if learned is None else learned
    gone = lists.forgotten(run)
    is_gone = np.array([name in gone for name in samples.names])
    shown = np.sort(
        np.concatenate([_spread(np.flatnonzero(is_gone), SHOWN // 3), _spread(np.flatnonzero(~is_gone), 2 * SHOWN // 3)])
    )
    samples, is_gone = samples.subset(shown), is_gone[shown]
    z = embeddings(encoder, samples).numpy()
    queries = _spread(np.flatnonzero(is_gone), QUERIES)
    nearest = (queries, *neighbours(z, queries, min(NEIGHBOURS, len(z) - 1))) if len(z) > 1 else None
    near = queries if nearest is None else np.unique(np.concatenate([queries, nearest[1].ravel()]))
    models = found.get("models", {})
    gold = "retrained" if "retrained" in models else "original"
    measures = [
        Measure(
            name,
            value,
            MEANINGS[name].text,
            {"high": True, "low": False}.get(MEANINGS[name].wanted),
            _reference(name, models, gold),
            percent=MEANINGS[name].percent,
            aim="as if never learned is best",
        )
        for name, value in models.get("forgotten", {}).items()
        if name in MEANINGS and value is not None
    ]
    sentences = found.get("findings") or ["Nothing was audited: --audit full looks at what is left."]
    method = papers.find(config["method"])
    kept = f"{config['encoder']}, {config['samples']:,} samples kept, of {described(encoder.form)}."
    report = Report(
        title=f"{sentences[0].partition(':')[0]}: {config['forgotten']:,} samples of {'an array' if config['data'] is None else data.name}",
        subtitle=f"{' '.join(sentences)} Method: {method.title}. {method.summary} {kept}",
        command=config["command"],
        measures=measures,
        history=run.history(),
        points=embedding_map(z, seed=0),
        portraits=portray(samples, near),
        labels=is_gone.astype(int).tolist(),
        classes=("kept", "forgotten"),
        names=[str(name) for name in samples.names],
        neighbours=nearest,
        spectrum=np.asarray(spectrum(_tensor(z))),
        skipped=[(s.name, s.reason) for s in data.skipped],
        config={k: v for k, v in config.items() if k not in ("command", "words", "trained")},
        versions={
            "python": platform.python_version(),
            "ipse": __version__,
            **{package: version(package) for package in ("torch", "timm", "lightning-fabric")},
        },
        notes=sentences,
    )
    try:
        return write(report, path or run.report)
    except OSError as e:
        raise UserError(f"cannot write the report to {path or run.report}: {e.strerror or e}") from e


def show(run: Run) -> None:
    """Prints the numbers of the original, of what it is now and of the retrained model, what they mean, and the findings."""
    found = audited(run)
    models: dict[str, Any] = found.get("models", {})
    order = [name for name in ("original", "forgotten", "retrained") if name in models]
    if models:
        print(f"{'measure':21}" + "".join(f"{name:>11}" for name in order))
    for name, meaning in MEANINGS.items():
        if models.get("forgotten", {}).get(name) is None:
            continue
        row = "".join(f"{_text(models[m].get(name), meaning.percent):>11}" for m in order)
        print(f"{name:21}{row}   {meaning.text}")
    for sentence in found.get("findings", ()):
        print(sentence)
    print(f"model:  {run.path / 'head.safetensors'}")
    print(f"report: {run.report.resolve().as_uri()}")


def _reference(name: str, models: Mapping[str, Mapping[str, float]], gold: str) -> tuple[str, float] | None:
    value = models.get(gold, {}).get(name)
    what = "the retrained model" if gold == "retrained" else "the model before"
    return None if value is None else (what, value)


def _text(value: float | None, percent: bool) -> str:
    if value is None:
        return ""
    return f"{value:.1%}" if percent else f"{value:.3g}"


def _spread(places: Any, most: int) -> Any:
    import numpy as np

    return places[np.linspace(0, len(places) - 1, min(most, len(places))).astype(np.int64)] if len(places) else places


def _tensor(z: Any) -> Any:
    import torch

    return torch.as_tensor(z)
