"""What is done to each file: which method, from what it learns, and what comes out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipse import papers
from ipse.errors import UserError
from ipse.jobs import names
from ipse.jobs.restoring.files import File, paths_of, place, read, write
from ipse.jobs.restoring.page import Record, measure
from ipse.jobs.run import say

if TYPE_CHECKING:
    import numpy as np

    from ipse.methods.restore import Restorer
    from ipse.methods.restore.choice import Choice
    from ipse.methods.restore.signals import Signal

ROLE = "restore method"


@dataclass
class Task:
    """What is done to every file."""

    method: str
    settings: dict[str, Any]
    strength: float
    compare: list[str]
    seed: int
    steps: int | None
    tile: int
    learn: list[Path]
    like: list[Path]
    quiet: bool

    @staticmethod
    def of(
        method: str,
        set: Any,
        strength: float,
        compare: Sequence[str],
        learn: str | Path | None,
        like: str | Path | None,
        steps: int | None,
        seed: int,
        tile: int,
        quiet: bool,
    ) -> Task:
        """Checks every word; raises UserError for the first that is wrong."""
        settings = names.assignments(set, "--set")
        if method == "auto":
            if settings:
                raise UserError("--set is for one method: name it with --method")
        else:
            cls = papers.load(method, ROLE)
            settings = names.checked(cls, settings, method)
            if cls.wants is not None and like is None:
                raise UserError(f"{method} needs {cls.wants}: give a folder of them with --like")
        others = names.split(compare)
        for key in others:
            if takes_of(key) != takes_of(method):
                raise UserError(f"--compare {key}: it takes {takes_of(key)}, and {method} {takes_of(method)}")
        if not 0 <= strength <= 1:
            raise UserError(f"--strength is from 0 to 1, not {strength:g}")
        if steps is not None and steps < 1:
            raise UserError(f"--steps must be at least 1, not {steps}")
        if tile < 16:
            raise UserError(f"--tile must be at least 16, not {tile}")
        if seed < 0:
            raise UserError(f"--seed must be at least 0, not {seed}")
        paths = {word: paths_of(path, word, takes_of(method)) for word, path in (("learn", learn), ("like", like))}
        return Task(method, settings, strength, others, seed, steps, tile, paths["learn"], paths["like"], quiet)

    def restored_array(self, array: Any) -> np.ndarray[Any, Any]:
        """An array restored, of its own shape and type."""
        import numpy as np

        from ipse.data.photos import Photo
        from ipse.methods.restore import signals

        given: np.ndarray[Any, Any] = np.asarray(array)
        if self.method == "auto":
            photo = signals.photo_of(given)
            choice = self._choice(photo)
            if not choice.method:
                raise UserError(f"nothing to restore: {choice.why}; name a method to restore it all the same")
            if not self.quiet:
                say(f"ipse: note: {choice.method}: {choice.why}")
        else:
            choice = self._named()
        takes = papers.load(choice.method, ROLE).takes
        signal: Signal = signals.photo_of(given) if takes == "image" else signals.checked(given, takes)
        model, _ = self._model_for(signal, choice, [])
        result = signals.restored(model, signal, strength=self.strength, side=self.tile)
        if not isinstance(result, Photo):
            return result
        same: np.ndarray[Any, Any] = signals.array_of(result).reshape(given.shape).astype(given.dtype)
        return same

    def choose(self, files: Sequence[File], skipped: list[tuple[str, str]]) -> list[tuple[File, Choice]]:
        """The method of each file; what cannot be read, or needs none, goes to `skipped`."""
        if self.method != "auto":
            return [(file, self._named()) for file in files]
        chosen = []
        for file in files:
            signal = read(file, "image", skipped)
            if signal is not None:
                choice = self._choice(signal)
                if choice.method:
                    chosen.append((file, choice))
                else:
                    skipped.append((file.name, f"{choice.why}; name a --method to restore it all the same"))
        return chosen

    def restore(
        self,
        file: File,
        choice: Choice,
        chosen: Sequence[tuple[File, Choice]],
        target: Path,
        reference: Path | None,
        skipped: list[tuple[str, str]],
    ) -> Record | None:
        """Restores a file and writes it; None, and a line in `skipped`, where that cannot be."""
        from ipse.methods.restore import signals
        from ipse.methods.restore.choice import Choice

        takes = papers.load(choice.method, ROLE).takes
        signal = read(file, takes, skipped)
        if signal is None:
            return None
        model, how = self._model_for(signal, choice, [f for f, c in chosen if c.what == choice.what])
        began = time.perf_counter()
        result = signals.restored(model, signal, strength=self.strength, side=self.tile)
        seconds = time.perf_counter() - began
        with place(target, takes) as draft:
            write(result, draft)
        record = Record(file.name, target, choice.method, choice.settings, choice.why, how, seconds)
        versions = {"before": signal, record.label: result}
        for key in self.compare:
            model, _ = self._model_for(signal, Choice(key, {}, ""), [f for f, _ in chosen])
            versions[key] = signals.restored(model, signal, side=self.tile)
        measure(record, versions, read(File(file.name, reference), takes, skipped) if reference else None)
        return record

    def _named(self) -> Choice:
        from ipse.methods.restore.choice import Choice

        return Choice(self.method, self.settings, "")

    def _choice(self, signal: Signal) -> Choice:
        import torch

        from ipse.data.photos import Photo
        from ipse.methods.restore.choice import choose
        from ipse.metrics.noise import estimate

        assert isinstance(signal, Photo)
        return choose(estimate(torch.from_numpy(signal.values())))

    def _model_for(self, signal: Signal, choice: Choice, group: Sequence[File]) -> tuple[Restorer, str]:
        """The trained method for a file, and how it came about; what does not learn from the file alone is made once for all."""
        from ipse.methods.restore import signals

        cls, channels = papers.load(choice.method, ROLE), signals.channels_of(signal)
        if not self.learn and (cls.fits == "each" or not group):
            return self._model(choice, channels, [signals.tensor_of(signal, cls.takes, channels)])
        key = (choice.what, channels)
        if key in self._shared:
            return self._shared[key][0], ""
        paths = [] if cls.fits in ("nothing", "noise") else self.learn or [file.path for file in group]
        opened = ((path, read(File(path.name, path), cls.takes, [])) for path in paths)
        found = {path: signals.channels_of(one) for path, one in opened if one is not None}
        if paths and not found:
            raise UserError(f"--learn: none of the {len(paths)} files can be read")
        channels = max([channels, *found.values()])
        self._shared[key] = self._model(choice, channels, signals.Signals(list(found), cls.takes, channels))
        return self._shared[key]

    def _model(self, choice: Choice, channels: int, tensors: Sequence[Any]) -> tuple[Restorer, str]:
        from ipse.callbacks import Progress
        from ipse.methods.restore import signals
        from ipse.methods.restore.kept import trained

        cls = papers.load(choice.method, ROLE)
        like = signals.Signals(self.like, cls.takes, channels) if self.like and (cls.wants or cls.welcomes) else ()
        observer = None if self.quiet else Progress(f"{choice.method} learns")
        began = time.perf_counter()
        model, kept = trained(
            choice.method,
            channels,
            choice.settings,
            signals=tensors,
            like=like,
            seed=self.seed,
            steps=self.steps or choice.steps,
            observer=observer,
        )
        if cls.fits == "nothing":
            return model, ""
        return model, "kept from before, " if kept else f"learned in {time.perf_counter() - began:.0f} s, "

    @cached_property
    def _shared(self) -> dict[tuple[str, int], tuple[Restorer, str]]:
        return {}


def takes_of(method: str) -> str:
    """What a method takes; `auto` is for pictures."""
    return "image" if method == "auto" else str(papers.load(method, ROLE).takes)
