"""Remove from a model what it learned from some samples."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml

from ipse.errors import UserError
from ipse.jobs import names, words
from ipse.jobs.run import Run, command_line, data_for, matching, new_folder, say

if TYPE_CHECKING:
    from ipse.data import Data, Samples
    from ipse.methods.forget import Forgetter
    from ipse.models import Classifier


def forget(
    run: Annotated[str | os.PathLike[str], "the folder of a run with a classifier, as `ipse selftrain` writes it"],
    data: Annotated[Any, "what the run learned from; default: where it was then"] = None,
    *,
    forget: Annotated[
        Any, "FILE.csv with a column path, or a name a line; class:NAME for a whole class; range:LOW..HIGH for numbers"
    ],
    method: Annotated[str, "how to forget; `ipse methods` lists them"] = "opc",
    retain: Annotated[
        Any, "samples that it may look at to keep them; default: the rest of its data; `none` withholds it"
    ] = None,
    pool: Annotated[
        Any, "samples of another source, for methods that need some; default for pictures: patches of two photographs"
    ] = None,
    labels: words.Labels = None,
    set: words.Settings = (),
    audit: Annotated[
        Literal["full", "quick", "none"], "how closely to look at what is left; quick: without relearning"
    ] = "full",
    gold: Annotated[str, "a model that never saw them, to compare with: RUN, `retrain` makes one, or `none`"] = "none",
    seed: words.Seed = 0,
    out: words.Out = None,
    quiet: words.Quiet = False,
) -> Run:
    """Remove from a model what it learned from some samples, and audit what is left of it.

    The new run holds the model, forgotten.csv, audit.json and report.html, which says in words whether the samples are forgotten
    or the model only pretends. The run itself stays as it is.

    Returns the new run. Raises UserError for what a user can put right; nothing is written then.
    """
    given = dict(locals())
    from ipse import papers, randomness
    from ipse.jobs.forgetting import audits, lists, page

    kind: type[Forgetter] = papers.load(method, "forget method")
    origin = Run.open(run)
    model, config = origin.naming_samples("forget"), origin.config
    trained = config.get("trained", config)
    settings = names.checked(kind, names.assignments(set, "--set"), method)
    opened = _opened(origin, data, labels, model)
    learned, unseen = _parts(opened, trained, origin)
    chosen = lists.chosen(forget, opened, learned, model.classes, origin)
    few, rest = learned.subset(chosen), learned.subset(~lists.mask(chosen, len(learned)))
    few, rest = (_named(model, part) for part in (few, rest))
    forgetter = _built(kind, settings, trained, origin)
    kept = _kept(retain, rest, model, labels)
    foreign = _foreign(pool, model, seed) if "pool" in kind.needs else None
    forgetter.check(model, few, kept, foreign)
    gold_model = _gold_checked(gold, trained, model, origin)
    folder = new_folder(out, method, trained["data"])
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        draft.mkdir(parents=True)
        observer = Stages(draft / "metrics.jsonl", None if quiet else method)
        with observer:
            result = forgetter.forget(model, forget=few, retain=kept, pool=foreign, test=unseen, seed=seed, observer=observer)
        if gold == "retrain" and method != "retrain":
            again = _built(_retrain(), {}, trained, origin)
            gold_model = again.forget(
                model, forget=few, retain=rest, seed=trained["seed"], observer=Stages(None, None if quiet else "retrain")
            )
        _write(draft, result, config, trained, origin, given, few, rest, settings)
        if audit != "none":
            with randomness.deterministic():
                found = audits.audit(
                    result, model, gold_model, few, rest, unseen, full=audit == "full", seed=seed, is_gold=method == "retrain"
                )
            (draft / "audit.json").write_text(json.dumps(audits.plain(found), indent=2) + "\n", encoding="utf-8")
        page.write_page(Run(draft), opened, learned)
        draft.replace(folder)
    except OSError as e:
        raise UserError(f"cannot write the run to {folder}: {e.strerror or e}") from e
    finally:
        with suppress(OSError):
            shutil.rmtree(draft)
    if not quiet:
        page.show(Run(folder))
    return Run(folder)


class Stages:
    """Watches a forgetting run that may have several stages, one descent each: logs them one behind the other."""

    def __init__(self, path: Path | None, title: str | None):
        from ipse.callbacks import JsonLog, Progress

        self.log = None if path is None else JsonLog(path)
        self.bar = None if title is None else Progress(title)
        self.done = self.before = 0

    def __enter__(self) -> Stages:
        if self.log is not None:
            self.log.start(0, 0)
        return self

    def __exit__(self, *_: object) -> None:
        if self.log is not None:
            self.log.close()

    def start(self, steps: int, first: int) -> None:
        """A stage of so many steps begins."""
        self.before = self.done
        if self.bar is not None:
            self.bar.start(steps, first)

    def record(self, method: Any, record: dict[str, Any]) -> None:
        """A step was taken."""
        self.done = self.before + record["step"] + 1
        if self.bar is not None:
            self.bar.record(method, dict(record))
        if self.log is not None:
            self.log.record(method, record | {"step": self.done - 1})

    def event(self, step: int, text: str) -> None:
        """Something happened."""
        if self.bar is not None:
            self.bar.event(step, text)
        if self.log is not None:
            self.log.event(self.before + step, text)

    def close(self) -> None:
        """The stage ends."""
        if self.bar is not None:
            self.bar.close()


def _opened(run: Run, data: Any, labels: Any, model: Classifier) -> Data:
    """The data of the run with its labels as numbers among the classes of the model."""
    from dataclasses import replace

    from ipse.data.labels import renumbered

    opened = run.data(labels) if data is None else data_for(model.encoder, data, labels or run.config["labels"])
    matching(opened.train, model.encoder)
    train, test = (
        part and part.relabelled(renumbered(part.y, opened.classes, model.classes)) for part in (opened.train, opened.test)
    )
    assert train is not None
    return replace(opened, train=train, test=test, classes=model.classes)


def _parts(data: Data, trained: Mapping[str, Any], run: Run) -> tuple[Samples, Samples | None]:
    """What the run learned from and still knows, and what it never saw."""
    import numpy as np

    from ipse.jobs.forgetting import lists
    from ipse.jobs.settings import held_out, lessons

    learned = lessons(data, trained)
    unseen = data.test if data.test is not None and data.test.labelled else held_out(data, trained)
    gone = lists.forgotten(run)
    if gone:
        learned = learned.subset(np.array([name not in gone for name in learned.names]))
    return learned, unseen if unseen is not None and len(unseen) else None


def _named(model: Classifier, samples: Samples) -> Samples:
    """The samples with what the model says of those that have no label."""
    import numpy as np

    from ipse.metrics.unlearning import look

    if not len(samples) or (samples.y >= 0).all():
        return samples
    return samples.relabelled(np.where(samples.y >= 0, samples.y, look(model, samples).scores.argmax(1).numpy()))


def _built(kind: type[Forgetter], settings: Mapping[str, Any], trained: Mapping[str, Any], run: Run) -> Forgetter:
    """A method with its settings; retraining takes those that are not given from the first training."""
    if kind is not _retrain():
        return kind(**settings)
    origin = Run(Path(run.config["origin"])) if "origin" in run.config else run
    steps = trained.get("steps") or max((line["step"] for line in origin.history() if "loss" in line), default=0) + 1
    built: Forgetter = _retrain().of(trained, steps, settings)
    return built


def _retrain() -> Any:
    from ipse.methods.forget.retrain import Retrain

    return Retrain


def _kept(retain: Any, rest: Samples, model: Classifier, labels: Any) -> Samples | None:
    """What the method may look at to keep it."""
    if retain is None:
        return rest
    if isinstance(retain, str) and retain == "none":
        return None
    from ipse.data.labels import renumbered

    opened = data_for(model.encoder, retain, labels)
    y = renumbered(opened.train.y, opened.classes, model.classes)
    if opened.classes and (strange := [name for name in opened.classes if name not in model.classes]):
        say(
            f"ipse: note: of the labels of {opened.name}, {len(strange)} are no classes of the model, such as {strange[0]!r}: it names those itself"
        )
    return _named(model, opened.train.relabelled(y))


def _foreign(pool: Any, model: Classifier, seed: int) -> Samples:
    """Samples of another source."""
    if pool is not None:
        return data_for(model.encoder, pool).train
    if model.form["modality"] != "image":
        raise UserError(
            "this method needs samples of another source, and for such data there are none at hand: give --pool DATA"
        )
    from ipse.jobs.forgetting.photographs import patches

    return patches(model.form, 2000, seed)


def _gold_checked(gold: str, trained: Mapping[str, Any], model: Classifier, run: Run) -> Classifier | None:
    """The model to compare with, where it is there already; raises UserError where it cannot be compared, or made."""
    if gold == "none":
        return None
    if gold == "retrain":
        _built(_retrain(), {}, trained, run)
        return None
    other = Run.open(gold).classifier
    if other.classes != model.classes or type(other) is not type(model):
        raise UserError(f"--gold {gold}: it says something else than {run}; give a run that learned the same classes")
    return other


def _write(
    folder: Path,
    model: Classifier,
    config: Mapping[str, Any],
    trained: Mapping[str, Any],
    run: Run,
    given: Mapping[str, Any],
    few: Samples,
    rest: Samples,
    settings: Mapping[str, Any],
) -> None:
    """Writes the model, what was forgotten and how."""
    from ipse.jobs.forgetting import lists
    from ipse.models import save_classifier

    said = names.typed(given, forget, "out", "quiet")
    about = [run, *([] if given["data"] is None else [names.as_typed(given["data"], "data")])]
    earlier = lists.forgotten_rows(run)
    taken = ("data", "labels", "data_key", "modality", "size", "encoder", "encoder_options")
    content = {
        "job": "forget",
        "command": command_line("forget", about, said),
        **{name: config[name] for name in taken if name in config},
        "samples": len(rest),
        "method": given["method"],
        "set": names.plain(settings),
        "run": str(run),
        "origin": config.get("origin", str(run)),
        "forgotten": len(few) + len(earlier),
        "classes": list(model.classes),
        "holdout": trained.get("holdout"),
        "seed": trained["seed"],
        "forget_seed": given["seed"],
        "trained": dict(trained),
        "words": said,
    }
    save_classifier(model, folder)
    lists.write_rows(
        folder / "forgotten.csv", [*earlier, *((name, model.classes[y]) for name, y in zip(few.names, few.y, strict=True))]
    )
    (folder / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
