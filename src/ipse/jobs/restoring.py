"""What restoring takes: the files, their methods, one file after the other, and the page at the end."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ipse import papers
from ipse.errors import UserError, first_line
from ipse.jobs import names
from ipse.jobs.files import whole
from ipse.jobs.run import say

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from ipse.methods.restore import Restorer
    from ipse.methods.restore.choice import Choice
    from ipse.methods.restore.signals import Signal

ROLE = "restore method"
KEPT = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".npy")
SHOWN = 40  # photos on the page
SIDE = 1200  # of a photo there


class File(NamedTuple):
    """A file to restore, and its name within what was given."""

    name: str
    path: Path


@dataclass
class Record:
    """What became of a file."""

    name: str
    out: Path
    method: str
    settings: Mapping[str, Any]
    why: str
    trained: str
    seconds: float
    measures: dict[str, dict[str, float]] = field(default_factory=dict)
    previews: list[tuple[str, Image.Image]] = field(default_factory=list)
    profile: bytes | None = None

    @property
    def label(self) -> str:
        settings = "".join(f" {k}={v}" for k, v in self.settings.items())
        return f"{self.method}{settings}"

    @property
    def line(self) -> str:
        return f"{self.name}: {self.label}{f' ({self.why})' if self.why else ''}; {self.trained}{self.seconds:.1f} s"


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
            papers.load(key, ROLE)
        if not 0 <= strength <= 1:
            raise UserError(f"--strength is from 0 to 1, not {strength:g}")
        if steps is not None and steps < 1:
            raise UserError(f"--steps must be at least 1, not {steps}")
        if tile < 16:
            raise UserError(f"--tile must be at least 16, not {tile}")
        if seed < 0:
            raise UserError(f"--seed must be at least 0, not {seed}")
        paths = {word: _paths(path, word, takes_of(method)) for word, path in (("learn", learn), ("like", like))}
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
        channels = signals.channels_of(signal)
        model, _ = self._model(choice, channels, [signals.tensor_of(signal, takes, channels)])
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
            signal = _read(file, "image", skipped)
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

        takes = papers.load(choice.method, ROLE).takes
        signal = _read(file, takes, skipped)
        if signal is None:
            return None
        model, how = self._model_for(signal, choice, [f for f, c in chosen if c == choice])
        began = time.perf_counter()
        result = signals.restored(model, signal, strength=self.strength, side=self.tile)
        seconds = time.perf_counter() - began
        with _place(target, takes) as draft:
            _write(result, draft)
        record = Record(file.name, target, choice.method, choice.settings, choice.why, how, seconds)
        versions = {"before": signal, record.label: result}
        for key in self.compare:
            versions[key] = self._other(key, file, signal)
        _measure(record, versions, _read(File(file.name, reference), takes, skipped) if reference else None)
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
        """The trained method for a file, and how it came about: methods of `fits` "all" learn from the whole group once."""
        from ipse.methods.restore import signals

        cls, key = papers.load(choice.method, ROLE), repr(choice)
        if cls.fits != "all" or self.learn:
            channels = signals.channels_of(signal)
            return self._model(choice, channels, [signals.tensor_of(signal, cls.takes, channels)] if cls.fits == "each" else [])
        if key not in self._shared:
            readable = [(f, s) for f in group if (s := _read(f, cls.takes, [])) is not None]
            channels = max(signals.channels_of(s) for _, s in readable)
            paths = [f.path for f, _ in readable]
            self._shared[key] = self._model(choice, channels, signals.Signals(paths, cls.takes, channels))
            return self._shared[key]
        return self._shared[key][0], ""

    def _model(self, choice: Choice, channels: int, tensors: Sequence[Any]) -> tuple[Restorer, str]:
        from ipse.callbacks import Progress
        from ipse.methods.restore import signals
        from ipse.methods.restore.kept import trained

        cls = papers.load(choice.method, ROLE)
        if self.learn and cls.fits in ("each", "all"):
            found = [s for path in self.learn if (s := _read(File(path.name, path), cls.takes, [])) is not None]
            if not found:
                raise UserError(f"--learn: none of the {len(self.learn)} files can be read")
            channels = max(channels, *map(signals.channels_of, found))
            tensors = signals.Signals(
                [p for p in self.learn if _read(File(p.name, p), cls.takes, []) is not None], cls.takes, channels
            )
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
            steps=self.steps,
            observer=observer,
        )
        if cls.fits == "nothing":
            return model, ""
        return model, "kept from before, " if kept else f"learned in {time.perf_counter() - began:.0f} s, "

    def _other(self, key: str, file: File, signal: Signal) -> Signal:
        from ipse.methods.restore import signals
        from ipse.methods.restore.choice import Choice

        model, _ = self._model_for(signal, Choice(key, {}, ""), [file])
        return signals.restored(model, signal, side=self.tile)

    @cached_property
    def _shared(self) -> dict[str, tuple[Restorer, str]]:
        return {}


def takes_of(method: str) -> str:
    """What a method takes; `auto` is for pictures."""
    return "image" if method == "auto" else str(papers.load(method, ROLE).takes)


def gather(given: Sequence[Any], takes: str = "image") -> tuple[list[File], list[tuple[str, str]]]:
    """The files that are meant, and what of the folders cannot be entered; raises UserError when there are none."""
    if not given:
        raise UserError("what is to be restored? Give a photo or a folder, for example ipse restore photo.jpg")
    files: list[File] = []
    skipped: list[tuple[str, str]] = []
    for one in given:
        path = Path(one)
        if path.is_dir():
            files += _clips(path) if takes == "frames" else _inside(path, skipped)
        elif path.exists():
            files.append(File(path.name, path))
        else:
            raise UserError(f"there is no {str(path)!r}: give a photo, a folder of photos, or a .npy file")
    if not files and takes == "frames":
        raise UserError(
            f"no clips in {', '.join(map(str, given))}: folders of frames, pairs NAME_t2b and NAME_b2t, GIF and .npy are"
        )
    if not files:
        raise UserError(f"no photos in {', '.join(map(str, given))}: {', '.join(KEPT)} and other picture files are restored")
    return files, skipped


def targets(files: Sequence[File], folder: Path, overwrite: bool, takes: str = "image") -> dict[str, Path]:
    """Where each file goes; raises UserError where that is taken, twice the same, or the file itself."""
    result: dict[str, Path] = {}
    if folder.is_file():
        raise UserError(f"--out {folder} is a file: give a folder")
    for file in files:
        path = folder / (file.name if Path(file.name).suffix.lower() in KEPT else f"{file.name}.png")
        if takes == "frames" and Path(file.name).suffix.lower() != ".npy":
            path = folder / Path(file.name).with_suffix("")
        if file.name in result:
            raise UserError(f"two files are called {file.name}: restore them apart, or the folder that holds both")
        if path.exists() and path.samefile(file.path):
            raise UserError(f"{path} would be written over itself: take another --out than its own folder")
        if path.exists() and not overwrite:
            raise UserError(f"{path} is there already: take another --out, or --overwrite")
        result[file.name] = path
    return result


def references(files: Sequence[File], reference: str | Path | None) -> dict[str, Path]:
    """The true picture of each file that has one: by its name or, in another format, by the name without ending."""
    if reference is None:
        return {}
    path = Path(reference)
    if not path.exists():
        raise UserError(f"--reference {path}: there is no such file or folder")
    if not path.is_dir():
        if len(files) != 1:
            raise UserError(f"--reference {path} is one picture, and there are {len(files)} to restore: give a folder")
        return {files[0].name: path}
    found = _inside(path, [])
    exact, loose = {f.name: f.path for f in found}, {str(Path(f.name).with_suffix("")): f.path for f in found}
    pairs = {f.name: exact.get(f.name) or loose.get(str(Path(f.name).with_suffix(""))) for f in files}
    if not any(pairs.values()):
        raise UserError(
            f"--reference {path} holds no picture that is called like one of those to restore, such as {files[0].name}"
        )
    return {name: p for name, p in pairs.items() if p is not None}


def close(done: Sequence[Record], skipped: Sequence[tuple[str, str]], folder: Path, command: str) -> Path:
    """Writes restored.json and report.html."""
    from ipse.reports.comparison import Comparison, ComparisonPage, picture, write_comparison

    facts = [
        {
            "name": r.name,
            "out": str(r.out),
            "method": r.method,
            "settings": dict(r.settings),
            "why": r.why,
            "seconds": round(r.seconds, 2),
            "measures": {label: {k: _plain(v) for k, v in values.items()} for label, values in r.measures.items()},
        }
        for r in done
    ]
    left_out = [{"name": name, "reason": reason} for name, reason in skipped]
    with whole(folder / "restored.json") as draft:
        draft.write_text(
            json.dumps({"command": command, "restored": facts, "skipped": left_out}, indent=2) + "\n", encoding="utf-8"
        )
    shown = [
        Comparison(
            r.name,
            [(label, picture(image, r.profile)) for label, image in r.previews],
            [x for x in (r.label, r.why, papers.load(r.method, ROLE).noise) if x],
            _rows(r),
            *r.previews[0][1].size,
        )
        for r in done
        if r.previews
    ][:SHOWN]
    many = f"{len(done)} file{'s' * (len(done) != 1)} restored" + (f", {len(skipped)} left out" if skipped else "")
    notes = [f"The first {SHOWN} are shown."] if len(done) > SHOWN else []
    page = ComparisonPage(done[0].name if len(done) == 1 else f"{len(done)} photos", many, command, shown, skipped, notes)
    with whole(folder / "report.html") as draft:
        write_comparison(page, draft)
    return folder / "report.html"


def _plain(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _rows(record: Record) -> list[tuple[str, list[str]]]:
    measures = list(dict.fromkeys(name for values in record.measures.values() for name in values))
    texts = {"PSNR": "{:.2f} dB", "SSIM": "{:.3f}", "clipped": "{:.1%}"}

    def cell(label: str, name: str) -> str:
        value = record.measures.get(label, {}).get(name)
        return "" if value is None or math.isnan(value) else texts.get(name, "{:.3f}").format(value)

    return [(name, [cell(label, name) for label, _ in record.previews]) for name in measures]


def _measure(record: Record, versions: Mapping[str, Signal], reference: Signal | None) -> None:
    """Fills in measures and previews."""
    import torch

    from ipse.data.photos import Photo, shown
    from ipse.metrics import restoration

    if reference is not None and isinstance(reference, Photo):
        versions = {**versions, "reference": reference}
    truth = torch.from_numpy(reference.values()) if isinstance(reference, Photo) else None
    for label, signal in versions.items():
        if not isinstance(signal, Photo):
            record.previews.append((label, _magnitude(signal)))
            continue
        record.previews.append((label, shown(signal, SIDE)))
        record.profile = signal.info.get("icc_profile")
        values = record.measures.setdefault(label, {})
        if truth is not None and label != "reference":
            if signal.pixels.shape == (*truth.shape[1:], truth.shape[0]):
                x = torch.from_numpy(signal.values())
                values |= {"PSNR": restoration.psnr(x, truth), "SSIM": restoration.ssim(x, truth)}
            elif label == "before":
                say(f"ipse: note: {record.name} is {_size(signal)}, its reference {_size(reference)}: not measured")
        step = max(1, max(signal.shape) // 1500)
        part = torch.from_numpy(signal.with_pixels(signal.pixels[::step, ::step]).values())
        values |= {"brightness": restoration.brightness(part), "contrast": restoration.contrast(part)}
        values |= {"colourfulness": restoration.colorfulness(part), "clipped": restoration.clipped(part)}


def _size(photo: Any) -> str:
    return f"{photo.shape[1]} x {photo.shape[0]} in {photo.channels} channel{'s' * (photo.channels != 1)}"


def _magnitude(array: np.ndarray[Any, Any]) -> Image.Image:
    """An array as a picture: the amplitude up to its 99th percentile, or the middle frame."""
    import numpy as np
    from PIL import Image

    if array.dtype.kind == "c" or (array.ndim == 3 and array.shape[2] == 2):
        array = np.abs(array) if array.dtype.kind == "c" else np.hypot(array[..., 0], array[..., 1])
        array = np.sqrt((array**2).sum(0)) if array.ndim == 3 else array  # of all coils
    elif array.ndim > 2:
        array = array[len(array) // 2]
    top = float(np.quantile(array, 0.99)) or 1.0
    levels = (array / (top if array.dtype.kind == "f" and array.ndim == 2 else 1 if array.dtype.kind == "f" else 255)).clip(
        0, 1
    )
    image = Image.fromarray((levels * 255).round().astype(np.uint8).squeeze())
    image.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    return image


def _read(file: File, takes: str, skipped: list[tuple[str, str]]) -> Signal | None:
    from ipse.data.decode import UnreadableError
    from ipse.methods.restore import signals

    try:
        return signals.read(file.path, takes)
    except UnreadableError as error:
        skipped.append((file.name, str(error)))
    except (MemoryError, OSError) as error:
        skipped.append((file.name, first_line(error)))
    return None


def _write(result: Signal, path: Path) -> None:
    import numpy as np

    from ipse.data import clips, photos
    from ipse.methods.restore.signals import array_of

    if path.is_dir():
        assert not isinstance(result, photos.Photo)
        clips.write(result, path)
    elif not isinstance(result, photos.Photo):
        np.save(path, result)
    elif path.suffix.lower() == ".npy":
        np.save(path, array_of(result))
    else:
        photos.write(result, path)


@contextmanager
def _place(target: Path, takes: str) -> Iterator[Path]:
    """Where to write a result that becomes `target`, a file, or for clips a folder, when it is whole."""
    if takes != "frames" or target.suffix.lower() == ".npy":
        with whole(target) as draft:
            yield draft
        return
    from ipse.data import cache

    with cache.scratch(target.parent, target.name) as temporary:
        (temporary / "clip").mkdir()
        yield temporary / "clip"
        if target.exists():
            cache.discard(target)
        (temporary / "clip").rename(target)


def _clips(folder: Path) -> list[File]:
    from ipse.data import clips

    return [File(name, path) for name, path in clips.found(folder)]


def _inside(folder: Path, skipped: list[tuple[str, str]]) -> list[File]:
    """The pictures and arrays below a folder, by name."""
    from ipse.data.folders import listing

    found = listing(folder)
    skipped += [(one.name, one.reason) for one in found.skipped]
    arrays = [path.relative_to(folder).as_posix() for path in folder.rglob("*.npy") if not path.name.startswith(".")]
    return [File(name, folder / name) for name in sorted([*found.kinds.get("image", []), *arrays])]


def _paths(given: str | Path | None, word: str, takes: str) -> list[Path]:
    if given is None:
        return []
    path = Path(given)
    if not path.exists():
        raise UserError(f"--{word} {path}: there is no such file or folder")
    inside = _clips(path) if takes == "frames" and path.is_dir() else _inside(path, []) if path.is_dir() else [File("", path)]
    if not inside:
        raise UserError(f"--{word} {path}: there are no {'clips' if takes == 'frames' else 'pictures'} in it")
    return [file.path for file in inside]
