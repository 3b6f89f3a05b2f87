"""A run: the folder that a job wrote."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ipse.errors import UserError
from ipse.jobs import names

if TYPE_CHECKING:
    import numpy as np

    from ipse.data import Data, Samples
    from ipse.models import Classifier, Encoder

_NEEDED = ("command", "data", "labels", "data_key", "samples", "modality", "size", "method", "encoder", "words")


@dataclass
class Run:
    """The folder of a run: config.yaml, encoder.safetensors, encoder.json, metrics.jsonl, state/, report.html."""

    path: Path

    @staticmethod
    def open(path: str | os.PathLike[str]) -> Run:
        """The run in a folder; raises UserError when the folder is none."""
        run = Run(Path(path))
        if not run.path.is_dir():
            raise UserError(f"no run {str(run)!r}: there is no such folder")
        if not (run.path / "config.yaml").is_file():
            raise UserError(f"{str(run)!r} is no run: it has no config.yaml")
        return run

    @property
    def config(self) -> dict[str, Any]:
        """What the user asked for and what was made of it."""
        path = self.path / "config.yaml"
        try:
            config = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError, UnicodeDecodeError) as e:
            raise UserError(f"{path} is damaged: {' '.join(str(e).split())}") from e
        if not isinstance(config, dict):
            raise UserError(f"{path} is damaged: it holds no settings")
        if missing := [key for key in _NEEDED if key not in config]:
            raise UserError(f"{path} is damaged: it does not say {', '.join(missing)}")
        return config

    @property
    def state(self) -> Path:
        """Where the resumable state is."""
        return self.path / "state" / "state.safetensors"

    @property
    def encoder(self) -> Encoder:
        """The encoder that was learned, in evaluation mode."""
        from ipse.models import load

        return load(self.path)

    @property
    def classifier(self) -> Classifier:
        """The encoder with its head, in evaluation mode; raises UserError when the run learned no classes."""
        from ipse.models import load_classifier

        return load_classifier(self.path)

    def naming_samples(self, job: str) -> Classifier:
        """The classifier, for a job that is about classes of whole samples; raises UserError where it names pixels."""
        from ipse.models import Segmenter

        model = self.classifier
        if isinstance(model, Segmenter):
            raise UserError(f"{self} names the classes of pixels, and ipse {job} is for models that name whole samples")
        return model

    @property
    def has_classes(self) -> bool:
        """Whether it learned a classifier."""
        return (self.path / "head.safetensors").exists()

    @property
    def predictions(self) -> Path:
        """The table of what a classifier says of the samples that it learned from."""
        return self.path / "predictions.csv"

    @property
    def masks(self) -> Path:
        """The folder of the masks that a model of pixels makes of the pictures that it learned from."""
        return self.path / "masks"

    @property
    def report(self) -> Path:
        """The report page."""
        return self.path / "report.html"

    def history(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl."""
        from ipse.callbacks import read_history

        return read_history(self.path / "metrics.jsonl")

    @property
    def evaluation(self) -> dict[str, float]:
        """The measures taken at the end of the run; empty when it has not ended."""
        measures: dict[str, float] = self.judgement.get("evaluation", {})
        return measures

    @property
    def judgement(self) -> dict[str, Any]:
        """All that was found at the end of the run: the `evaluation`, the same at the `start`, `notes` and more; empty when it has not ended."""
        return next((line for line in reversed(self.history()) if "evaluation" in line), {})

    def data(self, labels: str | Path | None = None) -> Data:
        """The data the run learned from, with its own labels or those of a CSV; a note on stderr when it has changed since.

        Raises UserError when it was an array in memory or is gone.
        """
        from ipse.data import open_data
        from ipse.jobs.settings import relabelled

        config = self.config
        if config["data"] is None:
            raise UserError(
                f"{self} learned from an array in memory, which a run does not keep: give data after {self}, in Python as data="
            )
        try:
            data = open_data(config["data"], labels=labels or config["labels"], form=self.encoder.form)
            if "teacher" in config and labels is None:
                data = relabelled(data, tuple(config["classes"]))
        except UserError as e:
            if labels is not None:
                raise  # it may be those that are wrong
            raise UserError(f"the data that {self} learned from cannot be opened ({e}): give data after {self}") from e
        if labels is None and data.key != config["data_key"]:
            say(f"ipse: note: {config['data']} has changed since {self} learned from it")
        return data

    def embed(self, data: Any) -> np.ndarray[Any, Any]:
        """Embeddings (N, dim) of the training part of data in any form that `ipse pretrain` takes."""
        from ipse.metrics.embedding import embeddings

        encoder = self.encoder
        return embeddings(encoder, data_for(encoder, data).train).numpy()

    def __str__(self) -> str:
        return str(self.path)

    def __fspath__(self) -> str:
        return str(self.path)


def data_for(encoder: Encoder, data: Any, labels: str | Path | None = None) -> Data:
    """Data in any form, opened as an encoder sees it; a note on stderr says how many samples could not be read.

    Raises UserError when there is nothing to read or the encoder takes another number of channels.
    """
    from ipse.data import open_data

    opened = open_data(data, labels=labels, form=encoder.form)
    matching(opened.train, encoder)
    if opened.skipped:
        first = opened.skipped[0]
        say(f"ipse: note: {len(opened.skipped)} skipped of {opened.name}, the first: {first.name} ({first.reason})")
    return opened


def matching(samples: Samples, encoder: Encoder) -> None:
    """Raises UserError when the encoder was made for samples of another form."""
    from ipse.data.form import mismatch

    if why := mismatch(samples.form, encoder.form):
        raise UserError(why)


def new_folder(out: str | Path | None, method: str, data: str | None, *, resumable: bool = False) -> Path:
    """The folder for what a job will write, runs/METHOD-DATA by default; raises UserError when the one asked for is taken."""
    if out is not None:
        folder = Path(out)
        if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
            raise UserError(f"--out {folder} is there already: take another name{f', or --resume {folder}' * resumable}")
        return folder
    name = re.sub(r"[^\w.-]+", "-", Path(data or "array").name or "data")
    folders = (Path("runs") / f"{method}-{name}{suffix}" for suffix in ["", *(f"-{i}" for i in range(2, 10000))])
    return next(f for f in folders if not f.exists())


def command_line(job: str, about: Sequence[Any], options: Mapping[str, Any]) -> str:
    """The shell command that does the same again: what it is about, in order, and the options that differ from the defaults."""
    parts = [f"ipse {job}", *(shlex.quote(str(word)) for word in about)]
    for name, value in options.items():
        option = names.option(name)
        if isinstance(value, bool):
            parts.append(option if value else option.replace("--", "--no-", 1))
        elif isinstance(value, (list, tuple, dict)):
            items = [f"{k}={_as_yaml(v)}" for k, v in value.items()] if isinstance(value, dict) else list(map(str, value))
            parts += [f"{option} {shlex.quote(item)}" for item in items]
        else:
            parts.append(f"{option} {shlex.quote(str(value))}")
    return " ".join(parts)


def _as_yaml(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, width=float("inf"))
    return text.removesuffix("\n...\n").strip()


def say(text: str) -> None:
    """One line for the person at the terminal."""
    print(text, file=sys.stderr)
