"""From a model and a stream to adapted answers: what `ipse adapt` does."""

from __future__ import annotations

import csv
import hashlib
import json
import platform
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ipse import __version__, papers, randomness
from ipse.data import Data, Samples, open_data
from ipse.data.form import mismatch
from ipse.errors import Interrupted, UserError, first_line
from ipse.jobs import names
from ipse.jobs.adaptable import Model, Segment, aligned, build, normalises_batches, open_model, samples_of, segments_of, tried
from ipse.jobs.adapted import Adapted
from ipse.jobs.files import whole
from ipse.jobs.run import command_line, say
from ipse.methods.adapt import Adapter, Guarded
from ipse.reports import Measure, Report, write
from ipse.training import state as states
from ipse.training.interrupt import Interruption
from ipse.transforms import viewer
from ipse.transforms.corruptions import corrupt

STATE, SAVE_SECONDS = "state.safetensors", 20.0
COLUMNS = ("prediction", "confidence", "entropy", "source", "bn", "guarded")  # kept of each answer


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
        self.y, self.segments, self.guarded = y, segments, guarded
        self.eye = viewer(model.form or samples.form)
        self.reset = words["reset"] or guarded.adapter.resets
        self.device = next(model.module.parameters()).device
        total = sum(len(s.index) for s in segments)
        self.record = {name: np.zeros(total, np.float32) for name in COLUMNS}
        self.bn = self._bn_adapt()
        self.done, self.answered = 0, 0
        self.out: str | None = None
        self.command = command_line(_typed(words), "adapt")

    def _bn_adapt(self) -> Adapter | None:
        """New statistics alone, to compare with."""
        if self.words["method"] in ("source", "bn-adapt") or not normalises_batches(self.guarded.adapter):
            return None
        method: type[Adapter] = papers.load("bn-adapt", "adapt method")
        return method(self.model.module)

    def run(self) -> Adapted:
        """Goes through the stream, and writes what came of it."""
        place = self._state_path()
        begun = self._resumed(place) if place is not None and place.exists() else False
        if not begun:
            self._prepare()
        folder = Path(self.out or self._folder())
        place = place or folder / STATE
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise UserError(f"cannot write to {folder}: {e.strerror}") from e
        self.out = str(folder)
        if not self.words["quiet"]:
            print(self._head())
        saved = time.perf_counter()
        with Interruption() as interruption, randomness.deterministic():
            for unit, (segment, index, adapts_only, first) in enumerate(self._units()):
                if unit < self.done:
                    continue
                self._batch(segment, index, adapts_only, first)
                self.done = unit + 1
                if not self.words["quiet"] and not adapts_only and self.answered == self._end(segment):
                    print(self._row(self._judged(segment)), flush=True)
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
        p, source = logits.float().softmax(1).cpu(), self.guarded.last_source
        assert source is not None
        rows = slice(self.answered, self.answered + len(index))
        confidence, prediction = p.max(1)
        answers = {
            "prediction": prediction,
            "confidence": confidence,
            "entropy": -(p * p.clamp(min=1e-12).log()).sum(1),
            "source": source.argmax(1).cpu(),
            "bn": prediction if self.bn is None else self.bn(x).argmax(1).cpu(),
            "guarded": torch.full((len(index),), float(self.guarded.stood_in)),
        }
        for name, values in answers.items():
            self.record[name][rows] = values.numpy()
        self.answered = rows.stop

    def _end(self, number: int) -> int:
        """How many answers there are at the end of a segment."""
        return sum(len(s.index) for s in self.segments[: number + 1])

    def _judged(self, number: int) -> dict[str, Any]:
        """The row of one segment."""
        segment, stop = self.segments[number], self._end(number)
        rows = slice(stop - len(segment.index), stop)
        y = self.y[segment.index]
        has = y >= 0
        answers = (
            {"source": "source"} | ({"bn-adapt": "bn"} if self.bn is not None else {}) | {self.words["method"]: "prediction"}
        )
        prediction = {name: self.record[column][rows] for name, column in answers.items()}
        return {
            "segment": segment.name,
            "samples": len(segment.index),
            "judged": int(has.sum()),
            "error": {name: float((p[has] != y[has]).mean()) for name, p in prediction.items()} if has.any() else {},
            "changed": float((self.record["prediction"][rows] != self.record["source"][rows]).mean()),
            "entropy": float(self.record["entropy"][rows].mean()),
            "by_source": float(self.record["guarded"][rows].mean()),
        }

    @property
    def _models(self) -> list[str]:
        return list(dict.fromkeys(["source", *(["bn-adapt"] if self.bn is not None else []), self.words["method"]]))

    def _head(self) -> str:
        judged = [f"{name:>17}" for name in self._models] if (self.y >= 0).any() else []
        return f"{'error of' if judged else '':18}{'samples':>8}{''.join(judged)}{'changed':>9}{'entropy':>9}{'guarded':>9}"

    def _row(self, row: Mapping[str, Any]) -> str:
        blank = " " * 17 * len(self._models) if (self.y >= 0).any() else ""
        errors = "".join(f"{row['error'][name]:>17.1%}" for name in self._models) if row["error"] else blank
        return f"{row['segment']:18}{row['samples']:>8}{errors}{row['changed']:>9.1%}{row['entropy']:>9.3f}{row['by_source']:>9.1%}"

    def _close(self, folder: Path, place: Path) -> Adapted:
        rows = [self._judged(number) for number in range(len(self.segments))]
        result = Adapted(
            folder,
            self.guarded,
            self.model.classes or self.data.classes,
            self.record["prediction"].astype(np.int64),
            self.record["source"].astype(np.int64),
            self.record["confidence"],
            rows,
        )
        self._overrule(result)
        self._save(place)
        self._write_csv(folder / "predictions.csv")
        self._write_report(folder / "report.html", result)
        content = self._numbers(result)
        for path in filter(None, (folder / "results.json", self.words["json"])):
            with whole(path) as draft:
                draft.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        if not self.words["quiet"]:
            print(self._row({"segment": "all", "samples": self.answered, "error": result.error, **_means(rows)}))
            for event in result.events[:10]:
                print(f"guard: {event}")
            if len(result.events) > 10:
                print(f"guard: {len(result.events) - 10} more, see {folder / 'results.json'}")
            if self.guarded.unreadable:
                print(f"not answered, since the model gives no numbers for them: {len(self.guarded.unreadable)} samples")
            print(f"predictions: {folder / 'predictions.csv'}")
            print(f"report:      {(folder / 'report.html').resolve().as_uri()}")
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

    def _write_csv(self, path: Path) -> None:
        """One line per answer."""
        classes = self.model.classes or self.data.classes

        def named(label: float) -> str:
            return "" if label < 0 else classes[int(label)] if int(label) < len(classes) else str(int(label))

        with whole(path) as draft, draft.open("w", newline="", encoding="utf-8", errors="replace") as file:
            writer = csv.writer(file)
            writer.writerow(["name", "segment", "prediction", "confidence", "source", "label", "answered_by"])
            row = 0
            for segment in self.segments:
                for i in segment.index.tolist():
                    r = {name: values[row] for name, values in self.record.items()}
                    by = "source" if r["guarded"] else self.words["method"]
                    line = [
                        self.samples.names[i],
                        segment.name,
                        named(r["prediction"]),
                        f"{r['confidence']:.4f}",
                        named(r["source"]),
                    ]
                    writer.writerow([*line, named(self.y[i]), by])
                    row += 1

    def _write_report(self, path: Path, result: Adapted) -> None:
        """The stream as curves over a moving window of answers, and what the guard did."""
        paper, error, method = papers.find(self.words["method"]), result.error, self.words["method"]
        measures = (
            [
                Measure(
                    "error",
                    error[method],
                    "Share of answers that are wrong.",
                    False,
                    ("the unadapted model", error["source"]),
                    percent=True,
                )
            ]
            if error
            else []
        )
        rows, share = result.segments, _means(result.segments)
        settings = {"set": names.assignments(self.words["set"], "--set"), "reset": self.reset}
        measures += [
            Measure("changed", share["changed"], "Share of answers that are not the unadapted model's.", percent=True),
            Measure(
                "answered by the source",
                share["by_source"],
                "Share of answers where the guard let the unadapted model answer.",
                False,
                percent=True,
            ),
        ]
        page = Report(
            title=f"{paper.title} on {self.data.name}",
            subtitle=f"{self.model.name}, {self.answered:,} answers in batches of {self.words['batch_size']}. {paper.summary}",
            command=self.command,
            measures=measures,
            history=[*self._history(), *({"step": event.sample, "event": event.text} for event in self.guarded.events)],
            skipped=[(s.name, s.reason) for s in self.data.skipped],
            config={"method": method, **settings, **{k: self.words[k] for k in ("batch_size", "passes", "margin", "seed")}},
            versions={"python": platform.python_version(), "ipse": __version__, "torch": version("torch")},
            notes=[
                f"{row['segment']}: " + ", ".join(f"{name} {100 * value:.1f} %" for name, value in row["error"].items())
                for row in rows
                if row["error"]
            ],
        )
        write(page, path)

    def _history(self) -> list[dict[str, Any]]:
        """Moving means over the last 256 answers, a line per batch."""
        y = np.concatenate([self.y[s.index] for s in self.segments])
        record, width, lines = self.record, 256, []
        for stop in range(self.words["batch_size"], self.answered + 1, self.words["batch_size"]):
            rows = slice(max(0, stop - width), stop)
            has = y[rows] >= 0
            line: dict[str, Any] = {"step": stop}
            if has.any():
                columns = {"error": "prediction", "error of the source": "source", "error of bn-adapt": "bn"}
                if self.bn is None:
                    del columns["error of bn-adapt"]
                line |= {name: float((record[column][rows][has] != y[rows][has]).mean()) for name, column in columns.items()}
            line["entropy"] = float(record["entropy"][rows].mean())
            line["agreement with the source"] = float((record["prediction"][rows] == record["source"][rows]).mean())
            lines.append(line)
        return lines

    def _state_path(self) -> Path | None:
        if self.words["state"] is None:
            return None
        path = Path(self.words["state"])
        return path / STATE if path.is_dir() else path

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
        tensors |= {f"record.{k}": torch.from_numpy(v) for k, v in self.record.items()}
        facts = {
            **self._identity(),
            "stream": self._passage(),
            "done": self.done,
            "answered": self.answered,
            "over": self.done == sum(1 for _ in self._units()),
            "out": self.out,
            "guard": self.guarded.memory(),
        }
        states.write(states.State(tensors, facts), path)

    def _resumed(self, path: Path) -> bool:
        """Goes on from a saved state; raises UserError when it is another model's or method's."""
        state = states.read(path)
        own = self._identity()
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
            self.record = {
                k.removeprefix("record."): v.numpy().copy() for k, v in state.tensors.items() if k.startswith("record.")
            }
            self.done, self.answered = state.facts["done"], state.facts["answered"]
            self.out = self.words["out"] or state.facts["out"]
            self.guarded.remember(state.facts["guard"])
        return True

    def _folder(self) -> Path:
        """The folder for the results; raises UserError when the one asked for is taken."""
        out = self.words["out"]
        if out is not None:
            folder = Path(out)
            if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
                raise UserError(f"--out {folder} is there already: take another name")
            return folder
        name = re.sub(r"[^\w.-]+", "-", Path(self.data.name).name or "stream")
        folders = (
            Path("runs") / f"{self.words['method']}-{name}{suffix}" for suffix in ["", *(f"-{i}" for i in range(2, 10000))]
        )
        return next(f for f in folders if not f.exists())


def _means(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """What the rows of segments say on the whole."""
    weights = [row["samples"] for row in rows]
    return {
        name: float(np.average([row[name] for row in rows], weights=weights)) for name in ("changed", "entropy", "by_source")
    }


def _typed(words: Mapping[str, Any]) -> dict[str, Any]:
    """The words that differ from the defaults, as they would be typed."""
    import inspect

    from ipse.jobs.adapt import adapt_stream

    usual = {name: p.default for name, p in inspect.signature(adapt_stream).parameters.items()}
    plain = {
        k: v if isinstance(v, (str, int, float, bool, list, tuple, dict)) or v is None else str(v) for k, v in words.items()
    }
    model, stream = (v if isinstance(v := words[k], (str, Path)) else k.upper() for k in ("model", "stream"))
    return {"teacher": model, "data": stream} | {
        k: v for k, v in plain.items() if k not in ("model", "stream") and v != usual[k] and (v or usual[k])
    }
