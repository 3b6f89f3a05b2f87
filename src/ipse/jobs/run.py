"""A run: the folder that a job wrote."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ipse.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from ipse.data import Data
    from ipse.models import Encoder


@dataclass
class Run:
    """The folder of a run: config.yaml, encoder.safetensors, encoder.json, metrics.jsonl, state/, report.html."""

    path: Path

    @staticmethod
    def open(path: str | Path) -> Run:
        """The run in a folder; raises UserError when the folder is none."""
        run = Run(Path(path))
        if not run.path.is_dir():
            raise UserError(f"no run {str(path)!r}: there is no such folder")
        if not (run.path / "config.yaml").is_file():
            raise UserError(f"{str(path)!r} is no run: it has no config.yaml")
        return run

    @property
    def config(self) -> dict[str, Any]:
        """What the user asked for and what was made of it."""
        try:
            config = yaml.safe_load((self.path / "config.yaml").read_text())
            if not isinstance(config, dict) or "method" not in config:
                raise ValueError("no method in it")
        except (yaml.YAMLError, ValueError, UnicodeDecodeError) as e:
            raise UserError(f"{self.path / 'config.yaml'} is damaged: {str(e).splitlines()[0]}") from e
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
        return next((line["evaluation"] for line in reversed(self.history()) if "evaluation" in line), {})

    def data(self) -> Data:
        """The data the run learned from; raises UserError when it was an array in memory or is gone."""
        from ipse.data import open_data

        config = self.config
        if config["data"] is None:
            raise UserError(
                f"{self.path} learned from an array in memory: name the data, for example `ipse evaluate {self.path} photos/`"
            )
        return open_data(config["data"], labels=config["labels"], size=config["size"])

    def embed(self, data: Any) -> np.ndarray[Any, Any]:
        """Embeddings (N, dim) of data in any form that `ipse pretrain` takes."""
        from ipse.data import open_data
        from ipse.metrics.embedding import embeddings

        encoder = self.encoder
        images = matching(open_data(data, size=encoder.size).train, encoder)
        return embeddings(encoder, images, encoder.size).numpy()

    def __str__(self) -> str:
        return str(self.path)


def matching(images: Any, encoder: Encoder) -> Any:
    """The images, if the encoder takes as many channels; raises UserError otherwise."""
    if images.channels != encoder.channels:
        raise UserError(f"the data has {images.channels} channel(s), the encoder was made for {encoder.channels}")
    return images


def command_line(words: dict[str, Any]) -> str:
    """The shell command that does the same again, from the options that differ from the defaults."""
    parts = ["ipse pretrain"]
    for name, value in words.items():
        option = "--" + name.replace("_", "-")
        if name == "data":
            parts.append(shlex.quote(str(value)))
        elif value is True:
            parts.append(option)
        elif isinstance(value, (list, tuple, dict)):
            items = [f"{k}={_plain(v)}" for k, v in value.items()] if isinstance(value, dict) else list(map(str, value))
            parts += [f"{option} {shlex.quote(item)}" for item in items]
        else:
            parts.append(f"{option} {shlex.quote(str(value))}")
    return " ".join(parts)


def _plain(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n").strip()


def say(text: str) -> None:
    """One line for the person at the terminal."""
    print(text, file=sys.stderr)
