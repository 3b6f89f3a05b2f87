"""What became of each file, in numbers and as a page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipse import papers
from ipse.jobs.files import whole
from ipse.jobs.run import say

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from ipse.methods.restore.signals import Signal

SHOWN = 40  # photos on the page
SIDE = 1200  # of a photo there


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
        return f"{self.name}: {self.label}{f' ({self.why})' if self.why else ''}; {self.trained}{self.seconds:.1f} s{self.gain}"

    @property
    def gain(self) -> str:
        """Where the photo as it should be was given: how near it the file was, and is."""
        before, after = (self.measures.get(label, {}) for label in ("before", self.label))
        if "PSNR" not in before or "PSNR" not in after:
            return ""
        psnr, ssim = ((before[name], after[name]) for name in ("PSNR", "SSIM"))
        return f"; PSNR {psnr[0]:.1f} to {psnr[1]:.1f} dB, SSIM {ssim[0]:.3f} to {ssim[1]:.3f}"


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
            [x for x in (r.label, r.why, papers.load(r.method, "restore method").noise) if x],
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


def measure(record: Record, versions: Mapping[str, Signal], reference: Signal | None) -> None:
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
