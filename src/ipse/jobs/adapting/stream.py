"""From a model and a stream to adapted answers: what `ipse adapt` does."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ipse import papers, randomness
from ipse.data import Data, Samples, open_data
from ipse.data.form import mismatch
from ipse.errors import Interrupted, UserError, first_line
from ipse.jobs import names
from ipse.jobs.adapting import page
from ipse.jobs.adapting.answers import Answers
from ipse.jobs.adapting.result import Adapted
from ipse.jobs.adapting.start import (
    Model,
    Segment,
    aligned,
    build,
    normalises_batches,
    open_model,
    samples_of,
    segments_of,
    tried,
)
from ipse.jobs.files import whole
from ipse.jobs.run import command_line, new_folder, say
from ipse.methods.adapt import Adapter, Guarded
from ipse.training import state as states
from ipse.training.interrupt import Interruption
from ipse.transforms import viewer
from ipse.transforms.corruptions import corrupt

STATE, SAVE_SECONDS = "state.safetensors", 20.0


def run(words: dict[str, Any]) -> Adapted:
    """Does what the words of `ipse adapt` say."""
    for name, least in (("batch_size", 1), ("limit", 1), ("passes", 0), ("seed", 0)):
        if words[name] is not None and words[name] < least:
            raise UserError(f"{names.option(name)} must be at least {least}, not {words[name]}")
    model = open_model(words["model"])
    data = open_data(words["stream"], labels=words["labels"], form=model.form)
    if model.form is not None and (why := mismatch(data.form, model.form)):
        raise UserError(why.replace("the encoder", model.name))
    if data.skipped:
        first = data.skipped[0]
        say(f"ipse: note: {len(data.skipped)} skipped of {data.name}, the first: {first.name} ({first.reason})")
    samples = data.test or data.train
    tried(model, samples)
    y = aligned(data, model, samples)
    segments = segments_of(samples, words)
    guarded = build(model, words["method"], words["set"], seed=words["seed"], guard=words["guard"], margin=words["margin"])
    guarded.adapter.episodic = (words["reset"] or guarded.adapter.resets) == "batch"
    if words["batch_size"] == 1 and not guarded.adapter.episodic and normalises_batches(guarded.adapter):
        say(
            "ipse: note: a batch of one sample has poor statistics: --set prior=16 trusts those of the source more, where a method takes it"
        )
    return _Stream(words, model, data, samples, y, segments, guarded).run()


class _Stream:
    """One stream on its way: batch by batch, saved now and then."""

    def __init__(
        self,
        words: Mapping[str, Any],
        model: Model,
        data: Data,
        samples: Samples,
        y: NDArray[np.int64],
        segments: list[Segment],
        guarded: Guarded,
    ):
        self.words, self.model, self.data, self.samples = words, model, data, samples
        self.segments, self.guarded = segments, guarded
        self.eye = viewer(model.form or samples.form)
        self.reset = words["reset"] or guarded.adapter.resets
        self.device = next(model.module.parameters()).device
        self.bn = self._bn_adapt()
        self.answers = Answers(segments, y, words["method"], self.bn is not None)
        self.done = 0
        self.out: str | None = None
        self.command = self._command()

    def _bn_adapt(self) -> Adapter | None:
        """New statistics alone, to compare with."""
        if self.words["method"] in ("source", "bn-adapt") or not normalises_batches(self.guarded.adapter):
            return None
        method: type[Adapter] = papers.load("bn-adapt", "adapt method")
        return method(self.model.module)

    def _command(self) -> str:
        """The shell command that does the same again."""
        from ipse.jobs.adapt import adapt_stream

        about = [names.as_typed(self.words[name], name) for name in ("model", "stream")]
        return command_line("adapt", about, names.typed(self.words, adapt_stream))

    def run(self) -> Adapted:
        """Goes through the stream, and writes what came of it."""
        place = self._state_path()
        begun = self._resumed(place) if place is not None and place.exists() else False
        if not begun:
            self._prepare()
        folder = Path(self.out or new_folder(self.words["out"], self.words["method"], self.data.name))
        place = place or folder / STATE
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise UserError(f"cannot write to {folder}: {e.strerror}") from e
        self.out = str(folder)
        if not self.words["quiet"]:
            print(page.head(self.answers))
        saved = time.perf_counter()
        with Interruption() as interruption, randomness.deterministic():
            for unit, (segment, index, adapts_only, first) in enumerate(self._units()):
                if unit < self.done:
                    continue
                self._batch(segment, index, adapts_only, first)
                self.done = unit + 1
                if not self.words["quiet"] and not adapts_only and self.answers.count == self.answers.end(segment):
                    print(page.line(self.answers.row(segment), self.answers), flush=True)
                if interruption.asked:
                    self._save(place)
                    say(f"ipse: note: the same command with --state {place} goes on from here")
                    raise Interrupted(128 + interruption.asked)
                if time.perf_counter() - saved > SAVE_SECONDS:
                    self._save(place)
                    saved = time.perf_counter()
        return self._close(folder, place)

    def _prepare(self) -> None:
        """Shows the adapter the source, where it needs it and has not seen it."""
        adapter, source = self.guarded.adapter, self.words["source"]
        if not adapter.needs_source or adapter.prepared:
            return
        if source is None:
            if self.model.run is None:
                raise UserError(
                    f"{self.words['method']} needs labelled data that the model was trained on, once: name it with --source"
                )
            source = self.model.run.data()
        x, y = samples_of(source, self.model)
        self.guarded.prepare(x.to(self.device), y.to(self.device))

    def _units(self) -> Iterator[tuple[int, NDArray[np.int64], bool, bool]]:
        """Segment, samples, whether they only teach, and whether they begin the segment, for every batch in order."""
        size = self.words["batch_size"]
        for number, segment in enumerate(self.segments):
            pieces = np.split(segment.index, range(size, len(segment.index), size))
            for turn in range(self.words["passes"] + 1):
                for i, piece in enumerate(pieces):
                    yield number, piece, turn < self.words["passes"], turn == i == 0

    def _batch(self, number: int, index: NDArray[np.int64], adapts_only: bool, first: bool) -> None:
        segment = self.segments[number]
        raw = {name: t.to(self.device) for name, t in self.samples.read(index).items()}
        x = self.eye.original(raw).x
        if segment.kind:
            position = torch.from_numpy(index).to(self.device)
            x = corrupt(x, segment.kind, segment.severity, form=self.samples.form, seed=self.words["seed"], position=position)
        if first and self.reset == "segment" and number:
            self.guarded.reset()
        if adapts_only:
            self.guarded(x)
            return
        logits = self.guarded.predict(x) if self.words["passes"] else self.guarded(x)
        source = self.guarded.last_source
        assert source is not None
        self.answers.add(logits, source, None if self.bn is None else self.bn(x), self.guarded.stood_in)

    def _close(self, folder: Path, place: Path) -> Adapted:
        answers, classes = self.answers, self.model.classes or self.data.classes
        prediction, source = (answers.record[name].astype(np.int64) for name in ("prediction", "source"))
        rows = [answers.row(number) for number in range(len(self.segments))]
        result = Adapted(folder, self.guarded, classes, prediction, source, answers.record["confidence"], rows)
        self._overrule(result)
        self._save(place)
        answers.write(folder / "predictions.csv", self.samples.names, classes)
        settings = {"set": names.assignments(self.words["set"], "--set"), "reset": self.reset}
        config = {
            "method": answers.method,
            **settings,
            **{k: self.words[k] for k in ("batch_size", "passes", "margin", "seed")},
        }
        page.write_page(result, answers, self.model.name, self.data, self.command, config)
        content = self._numbers(result)
        for path in filter(None, (folder / "results.json", self.words["json"])):
            with whole(path) as draft:
                draft.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        if not self.words["quiet"]:
            page.show(result, answers)
        return result

    def _overrule(self, result: Adapted) -> None:
        """With labels it is known in the end whether the adapter did harm: then that is said, and what is kept starts over."""
        error, method = result.error, self.words["method"]
        if error and error[method] > error["source"] + self.words["margin"]:
            worse = 100 * (error[method] - error["source"])
            self.guarded.overrule(f"by the labels it is {worse:.1f} points worse than the unadapted model: it starts over")

    def _numbers(self, result: Adapted) -> dict[str, Any]:
        return {
            "model": self.model.name,
            "stream": self.data.name,
            "method": self.words["method"],
            "command": self.command,
            "error": result.error,
            "segments": result.segments,
            "guard": [{"sample": event.sample, "text": event.text} for event in self.guarded.events],
            "unreadable": self.guarded.unreadable,
        }

    def _state_path(self) -> Path | None:
        if self.words["state"] is None:
            return None
        path = Path(self.words["state"])
        return path / STATE if path.is_dir() else path

    @cached_property
    def _identity(self) -> dict[str, Any]:
        """What a state belongs to."""
        digest = hashlib.blake2b(digest_size=16)
        for name, t in self.model.module.state_dict().items():
            digest.update(f"{name} {tuple(t.shape)};".encode() + t.detach().cpu().contiguous().view(-1).numpy().tobytes())
        settings = names.assignments(self.words["set"], "--set")
        return {"model": digest.hexdigest(), "method": self.words["method"], "set": json.loads(json.dumps(settings))}

    def _passage(self) -> list[Any]:
        """What tells this stream from others."""
        words = [self.words[k] for k in ("batch_size", "severity", "gradual", "limit", "passes", "seed")]
        return [self.data.key, *words, [s.name for s in self.segments], self.reset]

    def _save(self, path: Path) -> None:
        tensors = {f"guarded.{k}": v for k, v in self.guarded.state_dict().items()}
        tensors |= {f"record.{k}": torch.from_numpy(v) for k, v in self.answers.record.items()}
        facts = {
            **self._identity,
            "stream": self._passage(),
            "done": self.done,
            "answered": self.answers.count,
            "over": self.done == sum(1 for _ in self._units()),
            "out": self.out,
            "guard": self.guarded.memory(),
        }
        states.write(states.State(tensors, facts), path)

    def _resumed(self, path: Path) -> bool:
        """Goes on from a saved state; raises UserError when it is another model's or method's."""
        state = states.read(path)
        own = self._identity
        for name in ("model", "method", "set"):
            if state.facts.get(name) != own[name]:
                what = "model" if name == "model" else f"{name} {state.facts.get(name)}"
                raise UserError(f"--state {path} is of another {what}: leave --state out, or take the same again")
        try:
            self.guarded.load_state_dict(
                {k.removeprefix("guarded."): v for k, v in state.tensors.items() if k.startswith("guarded.")}
            )
        except RuntimeError as e:
            raise UserError(f"--state {path} does not fit: {first_line(e)}") from e
        if not state.facts["over"] and state.facts["stream"] == self._passage():
            self.answers.record = {
                k.removeprefix("record."): v.numpy().copy() for k, v in state.tensors.items() if k.startswith("record.")
            }
            self.done, self.answers.count = state.facts["done"], state.facts["answered"]
            self.out = self.words["out"] or state.facts["out"]
            self.guarded.remember(state.facts["guard"])
        return True
