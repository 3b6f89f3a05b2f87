"""From the words of a call to a run that has learned, been judged and has a report: what the jobs that learn share."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ipse.errors import Interrupted, UserError
from ipse.jobs.names import given, option, plain
from ipse.jobs.run import Run, new_folder

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from ipse.data import Data, Samples
    from ipse.jobs.teachers import Teacher

Job = Callable[..., Run]

_APART = ("out", "resume", "quiet")  # words that say nothing of what is learned


def perform(job: Job, words: Mapping[str, Any]) -> Run:
    """Does a job, anew or where a run of it had stopped, with all the words of its signature."""
    from ipse.jobs import settings
    from ipse.training import processes

    if processes.follows():
        _, folder, *_ = processes.follow()
        return Run(folder)
    out, resume, quiet = (words[name] for name in _APART)
    words = {name: value for name, value in words.items() if name not in _APART}
    teacher = settings.teacher_of(words)
    if resume is None:
        data, config = settings.settle(words, given(words, job), job.__name__, teacher)
        run = Run(new_folder(out, config["method"], config["data"], resumable=True))
        _begin(run, data, config)
    else:
        run = Run.open(resume)
        if out is not None:
            raise UserError(f"--resume {run} goes on in that folder: leave --out {out} out")
        data, config, teacher = _again(run, words, job, teacher)
    if run.evaluation:
        processes.dismiss(config, run.path)
    else:
        lessons = settings.lessons(data, config)
        try:
            learn(config, run.path, lessons, resume is not None, quiet, teacher)
            if config.get("scratch"):
                _learn_from_scratch(run, lessons, quiet)
        except Interrupted as e:
            raise Interrupted(e.status, str(run), config["job"]) from None
    from ipse.jobs.closing import close

    return close(run, data, quiet=quiet, teacher=teacher)


def learn(
    config: dict[str, Any], folder: Path, samples: Samples, resume: bool, quiet: bool, teacher: Teacher | None = None
) -> None:
    """Learns what a configuration says, in as many processes; neither judges nor reports."""
    from ipse.training import processes

    # A teacher that is on disk is opened by each process for itself.
    module = teacher if teacher is not None and teacher.name is None else None
    processes.run(train, config["devices"], config["precision"], config, folder, samples, resume, quiet, module)


def _learn_from_scratch(run: Run, samples: Samples, quiet: bool) -> None:
    """Trains the student of a run from the labels alone, for as many steps, in a folder inside of the run's."""
    from ipse.jobs.settings import from_scratch

    steps = 1 + max(line["step"] for line in run.history() if "loss" in line)
    beside = Run(run.path / "scratch")
    beside.path.mkdir(exist_ok=True)
    learn(from_scratch(run.config, steps), beside.path, samples, beside.state.exists(), quiet)


def train(
    fabric: Fabric,
    config: dict[str, Any],
    folder: Path,
    samples: Samples,
    resume: bool,
    quiet: bool,
    teacher: Teacher | None = None,
) -> None:
    """The work of one process: builds everything from the configuration, fits, and (the first process) keeps what was learned."""
    from torch._functorch import config as functorch

    from ipse import callbacks, models, randomness
    from ipse.jobs import settings
    from ipse.training import Feed, Taught, fit
    from ipse.transforms import viewer

    method = settings.build(config, samples, teacher)
    if fabric.world_size > 1:
        method = models.synchronised(method)
    if config["compile"]:
        # A graph that is walked once for each part of the loss must not give away what it keeps for the way back.
        functorch.donated_buffer = False
        method.encoder.compile()
    eye = viewer(samples.form, config["views"], samples)
    feed = Feed(samples, method.sees, eye, config["batch_size"], config["seed"], fabric.device)
    observers: list[Any] = []
    if fabric.is_global_zero:
        if config["watch"]:
            observers.append(callbacks.Watch(settings.watched(config["watch"]), samples))
        observers.append(callbacks.JsonLog(folder / "metrics.jsonl"))
        if config["tensorboard"]:
            observers.append(callbacks.TensorBoardLog(folder / "tensorboard"))
        if not quiet:
            observers.append(callbacks.Progress(config["method"]))
    plan, plus, path = settings.plan(config), settings.plus(config), Run(folder).state
    with randomness.deterministic():
        fit(fabric, method, feed, plan, plus=plus, observers=observers, path=path, resume=resume)
    if not fabric.is_global_zero:
        return
    if isinstance(method, Taught):
        models.save_classifier(method.learned, folder)
    else:
        models.save(method.encoder, folder)


def _begin(run: Run, data: Data, config: Mapping[str, Any]) -> None:
    """Writes what is known before the first step."""
    try:
        run.path.mkdir(parents=True, exist_ok=True)
        if data.skipped:
            lines = (json.dumps({"name": s.name, "reason": s.reason}, ensure_ascii=False) + "\n" for s in data.skipped)
            (run.path / "skipped.jsonl").write_text("".join(lines), encoding="utf-8")
        temporary = run.path / "config.part"
        temporary.write_text(yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))
        temporary.replace(run.path / "config.yaml")
    except OSError as e:
        raise UserError(f"cannot write the run to {run.path}: {e.strerror}") from e


def _again(
    run: Run, words: Mapping[str, Any], job: Job, teacher: Teacher | None
) -> tuple[Data, dict[str, Any], Teacher | None]:
    """What a run that goes on had begun with; raises UserError when the new words contradict the old ones or the data is another."""
    from ipse.jobs import settings
    from ipse.training import processes

    config = run.config
    verb = config.get("job", "pretrain")
    if verb != job.__name__:
        raise UserError(f"{run} is a run of ipse {verb}: go on with ipse {verb} --resume {run}")
    for name, value in plain(given(words, job)).items():
        before = config["words"].get(name)
        if value != before:
            started = f"{option(name)} {before}" if before is not None else f"the default {option(name)}"
            raise UserError(
                f"--resume {run}: that run was started with {started}, not {value}; leave the option out, or start a new run"
            )
    usual = inspect.signature(job).parameters["data"].default
    own = words["data"] if words["data"] is not usual else config["data"]
    if own is None:
        raise UserError(f"--resume {run}: that run learned from an array in memory; pass the same array again")
    teacher = settings.teacher_again(run, config, teacher)
    data = settings.opened(config | {"data": own}, teacher)
    if data.key != config["data_key"]:
        raise UserError(f"--resume {run}: the data is not the same as when the run was started; start a new run")
    if not run.evaluation and not run.state.exists():
        raise UserError(f"nothing to resume: {run} stopped before its first state was saved; start again")
    devices = processes.started_outside() or config["devices"]
    if config["batch_size"] % devices:
        raise UserError(f"--resume {run}: its batches of {config['batch_size']} cannot be shared by {devices} processes")
    return data, config | {"devices": devices}, teacher
