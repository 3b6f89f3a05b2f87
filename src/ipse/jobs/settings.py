"""From words to a configuration, and from a configuration to the pieces of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ipse import callbacks, models, papers
from ipse.data import Data, Samples, open_data
from ipse.data.form import size_of
from ipse.errors import UserError, unknown
from ipse.jobs import names
from ipse.jobs.evaluate import MEANINGS
from ipse.jobs.run import command_line
from ipse.optim import OPTIMIZERS
from ipse.regularizers import Regularizer
from ipse.training import Feed, Method, Plan
from ipse.training.precision import choose
from ipse.training.processes import started_outside
from ipse.transforms import viewer

Functions = dict[str, Callable[[Tensor], float] | None]


def settle(words: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[Data, dict[str, Any]]:
    """Checks every word, opens the data and settles what was left open; raises UserError for the first thing that is wrong."""
    method: type[Method] = papers.load(words["method"], "method")
    settings = names.checked(method, names.assignments(words["set"], "--set"), words["method"])
    chosen_plus, chosen_watch = _plus_weights(names.weighted(words["plus"])), names.split(words["watch"])
    watched(chosen_watch)
    papers.load(words["schedule"], "schedule")
    if sum(words[k] is not None for k in ("epochs", "steps", "minutes")) > 1:
        raise UserError("give one of --epochs, --steps and --minutes, not several")
    for name in ("epochs", "steps", "minutes", "batch_size", "lr", "devices", "size", "clip"):
        if words[name] is not None and not words[name] > 0:
            raise UserError(f"--{name.replace('_', '-')} must be more than 0, not {words[name]}")
    for name in ("weight_decay", "seed"):
        if words[name] is not None and not words[name] >= 0:
            raise UserError(f"--{name.replace('_', '-')} must be at least 0, not {words[name]}")
    optimizer = words["optimizer"] or method.recipe.optimizer
    if optimizer not in OPTIMIZERS:
        raise unknown("optimizer", optimizer, OPTIMIZERS)

    encoder, asked = words["encoder"], words["modality"]
    own_size = None if encoder == "auto" or encoder in models.known() else models.usual_size(encoder)
    data = open_data(words["data"], labels=words["labels"], modality=asked, size=words["size"] or own_size)
    samples, form = data.train, data.form
    modality = form["modality"]
    if method.modalities and modality not in method.modalities:
        raise UserError(
            f"{words['method']} is for {' and '.join(method.modalities)} data, and {data.name} is {modality}; `ipse methods {modality}` lists others"
        )
    usual = method.usual_encoder or models.usual(modality, transformer=method.transformer or method.needs_tokens)
    encoder = usual if encoder == "auto" else encoder
    options = method.encoder_options if encoder == usual else {}
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
    config = {
        "command": command_line({"data": data_word or "ARRAY", **plain(given)}),
        "data": data_word,
        "labels": None if words["labels"] is None else str(words["labels"]),
        "data_key": data.key,
        "samples": n,
        "modality": modality,
        "size": size_of(form),
        "method": words["method"],
        "set": settings,
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
        "words": plain(given),
    }
    built = build(config, samples)  # what cannot be built is said before anything is written
    Feed(samples, built.sees, viewer(form), batch_size, 0)
    callbacks.Watch(watched(chosen_watch), samples)
    return data, _as_yaml(config)


def build(config: Mapping[str, Any], samples: Samples) -> Method:
    """The method of a run with its encoder, at the start that its seed gives."""
    method: type[Method] = papers.load(config["method"], "method")
    settings = names.checked(method, config["set"], config["method"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config["seed"])
        form = method.encoder_form(samples.form, **settings)
        encoder = models.create(config["encoder"], form, config["pretrained"], **config["encoder_options"])
        if method.needs_tokens and not encoder.has_tokens:
            raise UserError(
                f"{config['method']} hides tokens, and encoder {config['encoder']!r} has none: take {models.usual(form['modality'], transformer=True)}"
            )
        built = method(encoder, **settings)
        built.prepare(samples)
        built.check(config["batch_size"])
    return built


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


def plain(words: Mapping[str, Any]) -> dict[str, Any]:
    """The words as they would be read from YAML."""
    return {k: _plain(v) for k, v in words.items()}


def _plus_weights(words: Mapping[str, float | None]) -> dict[str, float]:
    return {key: float(papers.load(key, "regularizer").weight) if weight is None else weight for key, weight in words.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value


def _as_yaml(config: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _plain(v) for k, v in config.items()}
