"""From words to a configuration, and from a configuration to the pieces of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ipse import callbacks, models, papers
from ipse.data import Data, Samples, holdout, open_data
from ipse.data.form import described, mismatch, size_of
from ipse.data.labels import renumbered
from ipse.data.samples import Ints
from ipse.errors import UserError, unknown
from ipse.jobs import names
from ipse.jobs.measures import MEANINGS
from ipse.jobs.run import Run, command_line, say
from ipse.jobs.teachers import Teacher, fitting
from ipse.jobs.teachers import teacher as teacher_named
from ipse.optim import OPTIMIZERS, wanted_terms
from ipse.regularizers import Regularizer
from ipse.training import Feed, Method, Plan
from ipse.training.precision import choose
from ipse.training.processes import started_outside
from ipse.transforms import viewer

Functions = dict[str, Callable[[Tensor], float] | None]

ROLES = {"pretrain": "method", "selftrain": "selftrain method", "distill": "distill method"}
FEWEST, MASKS = 20, 2  # labels, and pictures with masks, that are worth holding out unasked


def settle(
    words: Mapping[str, Any], given: Mapping[str, Any], job: str = "pretrain", teacher: Teacher | None = None
) -> tuple[Data, dict[str, Any]]:
    """Checks every word, opens the data and settles what was left open; raises UserError for the first thing that is wrong."""
    if job == "distill" and words["teacher"] is None:
        raise UserError("name who teaches, a run's folder or a timm model, and the data: ipse distill TEACHER DATA")
    if words["data"] is None:
        raise UserError(
            f"name the data to learn from, for example `ipse {job}{' TEACHER' if job == 'distill' else ''} photos/`"
        )
    method: type[Method] = papers.load(words["method"], ROLES[job])
    settings = names.checked(method, names.assignments(words["set"], "--set"), words["method"])
    chosen_plus, chosen_watch = _plus_weights(names.weighted(words["plus"])), names.split(words["watch"])
    watched(chosen_watch)
    papers.load(words["schedule"], "schedule")
    _check_numbers(words)
    if job == "distill":
        _check_teacher(words, method, teacher)
    optimizer = words["optimizer"] or method.recipe.optimizer
    _check_optimizer(optimizer, words["method"], method)
    if chosen_plus and hasattr(method, "update"):
        raise UserError(
            f"--plus: {words['method']} drives its own steps and takes no regularizers; leave {next(iter(chosen_plus))} out"
        )
    source = _source(words, teacher)
    data = opened(source, teacher)
    samples, form = data.train, data.form
    modality = form["modality"]
    if method.modalities and modality not in method.modalities:
        raise UserError(
            f"{words['method']} is for {' and '.join(method.modalities)} data, and {data.name} is {modality}; `ipse methods {modality}` lists others"
        )
    lesson = {} if job == "pretrain" else _lesson(words, data, method, teacher)
    samples = lessons(data, {**lesson, "seed": words["seed"]})
    if samples.masks is not None and not (job == "selftrain" and getattr(method, "by_pixel", False)):
        role = ROLES["selftrain"]
        able = [key for key, paper in papers.everything().items() if paper.role == role and papers.load(key, role).by_pixel]
        raise UserError(
            f"the labels are masks, and {words['method']} learns nothing from those: ipse selftrain can, with {', '.join(able)}"
        )
    encoder = source["encoder"]
    usual = method.usual_encoder or models.usual(modality, transformer=method.transformer or method.needs_tokens)
    usual = usual if samples.masks is None else "unet"
    encoder = usual if encoder == "auto" else encoder
    options = method.encoder_options if encoder == usual else {}
    if source["from"]:
        start = models.load(Path(source["from"]))
        encoder, options = start.name, start.options()
    n, devices = len(samples), started_outside() or words["devices"]
    views = names.assignments(words["views"], "--views")
    viewer(form, views, samples)
    grouped = samples.group is not None and getattr(getattr(method, "sees", None), "unit", None) == "group"
    units = 1 + int(samples.group_numbers.max()) if grouped else n // 2
    batch_size = words["batch_size"] or max(devices, min(256, units) // devices * devices)
    if batch_size > n:
        raise UserError(f"--batch-size {batch_size} is more than the data has: {n} samples; take {n} or less")
    if batch_size % devices:
        raise UserError(f"--batch-size {batch_size} must be a multiple of --devices {devices}")
    recipe, steps, minutes = method.recipe, words["steps"], words["minutes"]
    if words["epochs"]:
        steps = max(1, round(words["epochs"] * n / batch_size))
    data_word = str(words["data"]) if isinstance(words["data"], (str, Path)) else None
    about = [(teacher.name or "MODULE") if teacher else "none"] if job == "distill" else []
    config = {
        "job": job,
        "command": command_line(job, [*about, data_word or "ARRAY"], names.plain(given)),
        "data": data_word,
        "labels": source["labels"],
        "data_key": data.key,
        "samples": n,
        "modality": modality,
        "size": size_of(form),
        "method": words["method"],
        "set": settings,
        **lesson,
        "from": source["from"],
        "encoder": encoder,
        "encoder_options": options,
        "pretrained": words["pretrained"],
        "steps": steps,
        "minutes": 5.0 if steps is None and minutes is None else minutes,
        "batch_size": batch_size,
        "lr": words["lr"] or recipe.lr * batch_size / 256,
        "optimizer": optimizer,
        "weight_decay": recipe.weight_decay if words["weight_decay"] is None else words["weight_decay"],
        "warmup": recipe.warmup,
        "clip": words["clip"],
        "schedule": words["schedule"],
        "plus": chosen_plus,
        "views": views,
        "watch": chosen_watch,
        "seed": words["seed"],
        "devices": devices,
        "precision": choose(words["precision"], "cuda" if torch.cuda.is_available() else "cpu"),
        "compile": words["compile"],
        "tensorboard": words["tensorboard"],
        "words": names.plain(given),
    }
    built = build(config, samples, teacher)  # what cannot be built is said before anything is written
    Feed(samples, built.sees, viewer(form), batch_size, 0)
    callbacks.Watch(watched(chosen_watch), samples)
    return data, names.plain(config)


def opened(config: Mapping[str, Any], teacher: Teacher | None = None) -> Data:
    """The data of a run, in the form of what it starts from; its labels numbered as the teacher's where there is one."""
    form = teacher.form if teacher else None
    if config.get("from"):
        form = Run.open(config["from"]).encoder.form
    data = open_data(config["data"], labels=config["labels"], modality=config["modality"], size=config["size"], form=form)
    if form is not None and (why := mismatch(data.form, form)):
        raise UserError(why.replace("the encoder was", "the teacher was") if teacher else why)
    return relabelled(data, fitting(teacher, data.train, data.classes)) if teacher else data


def relabelled(data: Data, classes: tuple[str, ...]) -> Data:
    """The same data with its labels as numbers among `classes`; those of others are left out."""
    if data.classes and (strange := [name for name in data.classes if name not in classes]):
        say(
            f"ipse: note: of the labels of {data.name}, {len(strange)} are no classes of the teacher, such as {strange[0]!r}: they are left out"
        )
    train, test = (
        part and part.relabelled(renumbered(part.y, data.classes, classes)) if data.classes != classes else part
        for part in (data.train, data.test)
    )
    assert train is not None
    return replace(data, train=train, test=test, classes=classes)


def lessons(data: Data, config: Mapping[str, Any]) -> Samples:
    """What a run learns from: the training part, without the labelled samples that are held out."""
    aside = _aside(data, config)
    return data.train.subset(np.setdiff1d(np.arange(len(data.train)), aside)) if len(aside) else data.train


def held_out(data: Data, config: Mapping[str, Any]) -> Samples:
    """The labelled samples of the training part that a run does not learn from."""
    return data.train.subset(_aside(data, config))


def fewest(samples: Samples) -> int:
    """How many labels are enough to judge and to calibrate by: a mask has many."""
    return FEWEST if samples.masks is None else MASKS


def _aside(data: Data, config: Mapping[str, Any]) -> Ints:
    if not config.get("holdout"):
        return np.zeros(0, np.int64)
    labelled = np.flatnonzero(data.train.y >= 0)
    return np.asarray(labelled[holdout(data.train.subset(labelled), config["holdout"], seed=config["seed"])[1]])


def build(config: Mapping[str, Any], samples: Samples, teacher: Teacher | None = None) -> Method:
    """The method of a run with its encoder, and its teacher where it has one, at the start that its seed gives."""
    job = config.get("job", "pretrain")
    method: type[Any] = papers.load(config["method"], ROLES[job])
    settings = names.checked(method, config["set"], config["method"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config["seed"])
        form = method.encoder_form(samples.form, **settings)
        if config.get("from"):
            encoder = models.load(Path(config["from"])).train()
        else:
            encoder = models.create(config["encoder"], form, config["pretrained"], **config["encoder_options"])
        if method.needs_tokens and not encoder.has_tokens:
            raise UserError(
                f"{config['method']} hides tokens, and encoder {config['encoder']!r} has none: take {models.usual(form['modality'], transformer=True)}"
            )
        kind = models.Classifier if samples.masks is None else models.Segmenter
        model = encoder if job == "pretrain" else kind(encoder, config["classes"])
        asks = job == "distill" and method.needs_teacher
        taught_by = [(teacher or teacher_named(config["teacher"])).model] if asks else []
        built: Method = method(model, *taught_by, **settings)
        built.prepare(samples)
        built.check(config["batch_size"])
    return built


def from_scratch(config: Mapping[str, Any], steps: int) -> dict[str, Any]:
    """The configuration of the same student without its teacher: labels alone, for so many steps."""
    optimizer = "sgd" if wanted_terms(config["optimizer"]) else config["optimizer"]
    length: dict[str, Any] = {
        "steps": steps,
        "minutes": None,
        "optimizer": optimizer,
        "plus": {},
        "watch": [],
        "tensorboard": False,
    }
    return {**config, "job": "selftrain", "method": "supervised", "set": {}, **length}


def teacher_of(words: Mapping[str, Any]) -> Teacher | None:
    """The teacher that the words name, where they do."""
    return None if words.get("teacher") in (None, "none") else teacher_named(words["teacher"])


def teacher_again(run: Run, config: Mapping[str, Any], teacher: Teacher | None) -> Teacher | None:
    """The teacher of a run that goes on; raises UserError when it is another, or was in memory and is not given."""
    if "teacher" not in config:
        return None
    if teacher is not None and teacher.name != config["teacher"]:
        raise UserError(f"--resume {run}: that run has another teacher, {config['teacher'] or 'a module in memory'}")
    if teacher is None and config["teacher"] is None:
        raise UserError(f"--resume {run}: its teacher was a module in memory; pass the same module again")
    return teacher or teacher_named(config["teacher"])


def plan(config: Mapping[str, Any]) -> Plan:
    """How long and how fast a run learns."""
    keys = ("lr", "steps", "minutes", "optimizer", "weight_decay", "warmup", "clip")
    return Plan(schedule=papers.load(config["schedule"], "schedule"), **{k: config[k] for k in keys})


def plus(config: Mapping[str, Any]) -> list[tuple[str, float, Regularizer]]:
    """The regularizers of a run with their weights."""
    return [(key, weight, papers.load(key, "regularizer")()) for key, weight in config["plus"].items()]


def watched(words: Sequence[str]) -> Functions:
    """The functions of embeddings that these words name; None stands for nearest neighbours, which needs labels too."""
    takes_z_alone = {name for name, meaning in MEANINGS.items() if meaning.watchable}
    functions: Functions = {}
    for word in words:
        if word == "knn":
            functions[word] = None
        elif word in takes_z_alone:
            functions[word] = papers.load(word, "metric")
        else:
            papers.load(word, "metric")
            raise UserError(
                f"--watch {word}: this measure is taken at the end only; on the way there are {', '.join(sorted(takes_z_alone | {'knn'}))}"
            )
    return functions


def _source(words: Mapping[str, Any], teacher: Teacher | None) -> dict[str, Any]:
    """Where the samples come from and what they will look like, as the configuration says it."""
    data, labels, start, encoder = words["data"], words["labels"], words.get("from_"), words.get("encoder") or words["student"]
    if start is not None:
        Run.open(start)
        settled = ("encoder", "student", "pretrained", "modality", "size")
        if wrong := [name for name in settled if words.get(name) not in ("auto", False, None)]:
            raise UserError(f"{names.option(wrong[0])}: that is settled by --from {start}; leave one of the two out")
    if teacher and teacher.form and (wrong := [name for name in ("modality", "size") if words[name] is not None]):
        raise UserError(
            f"{names.option(wrong[0])}: that is settled by the teacher, who sees {described(teacher.form)}; leave it out"
        )
    own_size = None if encoder == "auto" or encoder in models.known() else models.usual_size(encoder)
    return {
        "data": data,
        "labels": None if labels is None else str(labels),
        "modality": words["modality"],
        "size": words["size"] or own_size,
        "from": None if start is None else str(start),
        "encoder": encoder,
    }


def _lesson(words: Mapping[str, Any], data: Data, method: type[Any], teacher: Teacher | None) -> dict[str, Any]:
    """What the labels are for: which classes there are, and the share of the labels that is held out."""
    y = data.train.y[data.train.y >= 0]
    if not len(y) and (teacher is None or method.needs_labels):
        none = "none of the teacher's classes" if teacher else "none"
        raise UserError(
            f"{words['method']} learns from labels, and {data.name} has {none}: give --labels FILE.csv with the columns path,label"
        )
    if teacher is None and data.train.masks is None and len(np.unique(y)) == 1:
        raise UserError(
            f"all {len(y)} labels are {data.classes[y[0]]!r}: there is nothing to tell apart; label another class too"
        )
    share = words["holdout"]
    if share is None:
        share = 0.1 if data.test is not None and data.test.labelled else 0.2
        share = share if share * len(y) >= fewest(data.train) else 0.0
    lesson = {"classes": list(data.classes), "holdout": share}
    if teacher is None:
        return lesson
    if words["scratch"] and not len(y):
        raise UserError(
            f"--scratch: without its teacher the student learns from labels, and {data.name} has none of its classes"
        )
    if words["scratch"] and started_outside():
        raise UserError("--scratch: two runs in turn cannot share the processes of torchrun; take --devices")
    return lesson | {"teacher": teacher.name, "scratch": words["scratch"]}


def _check_numbers(words: Mapping[str, Any]) -> None:
    if sum(words[k] is not None for k in ("epochs", "steps", "minutes")) > 1:
        raise UserError("give one of --epochs, --steps and --minutes, not several")
    for name in ("epochs", "steps", "minutes", "batch_size", "lr", "devices", "size", "clip"):
        if words[name] is not None and not words[name] > 0:
            raise UserError(f"{names.option(name)} must be more than 0, not {words[name]}")
    for name in ("weight_decay", "seed"):
        if words[name] is not None and not words[name] >= 0:
            raise UserError(f"{names.option(name)} must be at least 0, not {words[name]}")
    share = words.get("holdout")
    if share is not None and not 0 <= share < 1:
        raise UserError(f"--holdout must be a share of the labels, from 0 to less than 1, not {share}")


def _check_teacher(words: Mapping[str, Any], method: type[Any], teacher: Teacher | None) -> None:
    if method.needs_teacher and teacher is None:
        raise UserError(f"{words['method']} learns from a teacher: name a run's folder or a timm model before the data")
    if teacher is not None and not method.needs_teacher:
        raise UserError(
            f"{words['method']} has no teacher: say none in its place, ipse distill none DATA --method {words['method']}"
        )


def _check_optimizer(optimizer: str, key: str, method: type[Method]) -> None:
    if optimizer not in OPTIMIZERS:
        raise unknown("optimizer", optimizer, OPTIMIZERS)
    if lacking := [term for term in wanted_terms(optimizer) if term not in method.terms]:
        raise UserError(f"--optimizer {optimizer} treats parts of the loss differently, and {key} has no part {lacking[0]!r}")


def _plus_weights(words: Mapping[str, float | None]) -> dict[str, float]:
    return {key: float(papers.load(key, "regularizer").weight) if weight is None else weight for key, weight in words.items()}
