"""Pre-train an encoder on data without labels."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml

from ipse.errors import Interrupted, UserError
from ipse.jobs.run import Run

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from ipse.data import Data, Samples
    from ipse.models import Encoder


def pretrain(
    data: Annotated[
        Any,
        "a folder of pictures or recordings, a .csv, .parquet, .npy, .npz, .tar or .ts file, or a name: digits, mnist5k, cifar10, fashion-mnist",
    ] = "mnist5k",
    *,
    method: Annotated[str, "how to learn; `ipse methods` lists them"] = "simclr",
    encoder: Annotated[
        str, "auto, one of `ipse methods`, any timm model name, or a speech model of transformers (FOLDER or OWNER/NAME)"
    ] = "auto",
    epochs: Annotated[float | None, "passes over the data"] = None,
    steps: Annotated[int | None, "batches to learn from"] = None,
    minutes: Annotated[float | None, "time to learn for; 5 when no length is given"] = None,
    batch_size: Annotated[int | None, "samples per step over all devices; default 256, or what small data allows"] = None,
    lr: Annotated[float | None, "peak learning rate; default: the method's, in proportion to the batch"] = None,
    optimizer: Annotated[str | None, "adamw, sgd or lars; default: the method's"] = None,
    weight_decay: Annotated[float | None, "default: the method's"] = None,
    clip: Annotated[float | None, "largest norm of the gradient; default: no limit"] = None,
    schedule: Annotated[str, "cosine, constant or infinite"] = "cosine",
    plus: Annotated[Sequence[str], "regularizers to add, with their weights: for example t-regs=0.1"] = (),
    set: Annotated[Sequence[str] | Mapping[str, Any], "settings of the method, for example temperature=0.5"] = (),
    views: Annotated[Sequence[str] | Mapping[str, Any], "settings of the views, for example flip=0 crop=[0.5,1]"] = (),
    watch: Annotated[Sequence[str], "numbers to take on the way, for example rankme,knn"] = (),
    labels: Annotated[
        str | Path | None,
        "FILE.csv with the columns path,label, FILE.csv:COLUMN, or a COLUMN of the data's own table; most may be empty",
    ] = None,
    modality: Annotated[
        Literal["image", "audio", "series", "table"] | None, "what the data is; default: found out by what it contains"
    ] = None,
    size: Annotated[
        float | None,
        "of the views: pixels a side, seconds of audio, steps of a series; default: by the data, timm models their own",
    ] = None,
    seed: Annotated[int, "the same seed gives the same run"] = 0,
    out: Annotated[str | Path | None, "the run's folder; default runs/METHOD-DATA"] = None,
    resume: Annotated[str | Path | None, "go on with the run in this folder"] = None,
    devices: Annotated[int, "GPUs, or processes on CPU cores, that share the batch"] = 1,
    precision: Annotated[Literal["auto", "fp32", "bf16"], "format of the numbers to compute in"] = "auto",
    compile: Annotated[bool, "compile the encoder with torch.compile"] = False,
    tensorboard: Annotated[bool, "log for TensorBoard too, in the run's folder"] = True,
    pretrained: Annotated[bool, "start from the published weights of this encoder"] = False,
    quiet: Annotated[bool, "no progress bar, no closing table"] = False,
) -> Run:
    """Pre-train an encoder on data without labels, judge it, and write a report.

    Returns the run: a folder with the encoder, the logs, the resumable state and report.html. From Python the data may also be a numpy array, a torch
    tensor, a pair (x, y) or a `datasets.Dataset`. Raises UserError for what a user can put right; nothing is written then.
    """
    words = dict(locals())
    for name in ("out", "resume", "quiet"):
        del words[name]
    from ipse.jobs.settings import settle
    from ipse.training import processes

    if processes.follows():
        _, folder, *_ = processes.follow()
        return Run(folder)
    if resume is None:
        opened, config = settle(words, given(words))
        run = Run(_new_folder(out, config))
        _begin(run, opened, config)
    else:
        run = Run.open(resume)
        if out is not None:
            raise UserError(f"--resume {run} goes on in that folder: leave --out {out} out")
        opened, config = _again(run, words)
    if run.evaluation:
        processes.dismiss(config, run.path)
    else:
        try:
            processes.run(
                train, config["devices"], config["precision"], config, run.path, opened.train, resume is not None, quiet
            )
        except Interrupted as e:
            raise Interrupted(e.status, str(run)) from None
    from ipse.jobs.closing import close

    return close(run, opened, quiet=quiet)


def learn(data: Any, folder: Path, *, quiet: bool = True, **words: Any) -> Encoder:
    """Trains in `folder` and gives the encoder, without judging it or writing a report; the words are those of `pretrain`."""
    from ipse.jobs.settings import settle
    from ipse.training import processes

    defaults = {k: p.default for k, p in inspect.signature(pretrain).parameters.items() if k not in ("out", "resume", "quiet")}
    opened, config = settle(defaults | words | {"data": data}, words)
    processes.run(train, config["devices"], config["precision"], config, folder, opened.train, False, quiet)
    from ipse.models import load

    return load(folder)


def train(fabric: Fabric, config: dict[str, Any], folder: Path, samples: Samples, resume: bool, quiet: bool) -> None:
    """The work of one process: builds everything from the configuration, fits, and (the first process) keeps the encoder."""
    from ipse import callbacks, models, randomness
    from ipse.jobs import settings
    from ipse.training import Feed, fit
    from ipse.transforms import viewer

    method = settings.build(config, samples)
    if fabric.world_size > 1:
        method = models.synchronised(method)
    if config["compile"]:
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
    if fabric.is_global_zero:
        models.save(method.encoder, folder)


def given(words: Mapping[str, Any]) -> dict[str, Any]:
    """The words that differ from the defaults."""
    defaults = {k: p.default for k, p in inspect.signature(pretrain).parameters.items()}
    return {k: v for k, v in words.items() if k != "data" and v != defaults[k] and (v or defaults[k])}  # [] is as good as ()


def _new_folder(out: str | Path | None, config: Mapping[str, Any]) -> Path:
    """The folder for a new run; raises UserError when the one asked for is taken."""
    if out is not None:
        folder = Path(out)
        if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
            raise UserError(f"--out {folder} is there already: take another name, or --resume {folder}")
        return folder
    name = re.sub(r"[^\w.-]+", "-", Path(config["data"] or "array").name or "data")
    folders = (Path("runs") / f"{config['method']}-{name}{suffix}" for suffix in ["", *(f"-{i}" for i in range(2, 10000))])
    return next(f for f in folders if not f.exists())


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


def _again(run: Run, words: Mapping[str, Any]) -> tuple[Data, dict[str, Any]]:
    """The data and configuration of a run that goes on; raises UserError when the new words contradict the old ones or the data is another."""
    from ipse.data import open_data
    from ipse.jobs.settings import plain
    from ipse.training import processes

    config = run.config
    for name, value in plain(given(words)).items():
        before = config["words"].get(name)
        if value != before:
            started = (
                f"--{name.replace('_', '-')} {before}" if before is not None else f"the default --{name.replace('_', '-')}"
            )
            raise UserError(
                f"--resume {run}: that run was started with {started}, not {value}; leave the option out, or start a new run"
            )
    defaults = inspect.signature(pretrain).parameters
    own = words["data"] if words["data"] is not defaults["data"].default else config["data"]
    if own is None:
        raise UserError(f"--resume {run}: that run learned from an array in memory; pass the same array again")
    data = open_data(own, labels=config["labels"], modality=config["modality"], size=config["size"])
    if data.key != config["data_key"]:
        raise UserError(f"--resume {run}: the data is not the same as when the run was started; start a new run")
    if not run.evaluation and not run.state.exists():
        raise UserError(f"nothing to resume: {run} stopped before its first state was saved; start again")
    devices = processes.started_outside() or config["devices"]
    if config["batch_size"] % devices:
        raise UserError(f"--resume {run}: its batches of {config['batch_size']} cannot be shared by {devices} processes")
    return data, config | {"devices": devices}
