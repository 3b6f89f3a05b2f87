"""What samples are: their modality and the measures that a model is built for, as plain values that are kept with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Form = Mapping[str, Any]

RATE = 16_000  # waves are kept at this rate, in Hz

MODALITIES = ("image", "audio", "series", "table")


def image(channels: int = 3, size: int = 32) -> Form:
    """Pictures: x (B, channels, size, size) in [-1, 1]."""
    return {"modality": "image", "channels": channels, "size": size}


def audio(samples: int = RATE, rate: int = RATE) -> Form:
    """Waves: x (B, samples) in [-1, 1], `rate` numbers a second; NaN behind the end of a short one."""
    return {"modality": "audio", "rate": rate, "samples": samples}


def series(
    channels: int = 1,
    length: int = 128,
    names: Sequence[str] = (),
    mean: Sequence[float] = (),
    scale: Sequence[float] = (),
) -> Form:
    """Series: x (B, channels, length), each channel with `mean` taken away and divided by `scale`; NaN where nothing is known."""
    return {
        "modality": "series",
        "channels": channels,
        "length": length,
        "names": list(names) or [str(i) for i in range(channels)],
        "mean": list(mean) or [0.0] * channels,
        "scale": list(scale) or [1.0] * channels,
    }


def table(columns: Sequence[Mapping[str, Any]]) -> Form:
    """Rows: x (B, D), standardised numbers and numbers of categories; NaN where nothing is known.

    Each column is {"name", "categories": the known values or None for numbers, "mean", "scale"}.
    """
    return {"modality": "table", "columns": [dict(column) for column in columns]}


def some_channels(form: Form, take: Sequence[int]) -> Form:
    """The form of some channels of series. Its `take` says which, to those who are given all: `ipse.transforms.viewer`."""
    own = {name: [form[name][i] for i in take] for name in ("names", "mean", "scale")}
    return {**form, **own, "channels": len(take), "take": list(take)}


def mismatch(form: Form, made_for: Form) -> str | None:
    """Why samples of one form do not fit a model that was made for another; None when they do."""
    kind, expected = form["modality"], made_for["modality"]
    if kind != expected:
        return f"the data is {_PLURAL[kind]}, the encoder was made for {_PLURAL[expected]}"
    if form.get("channels") != made_for.get("channels") and not _contains(form, made_for):
        return f"the data has {form['channels']} channel(s), the encoder was made for {made_for['channels']}"
    if kind == "table" and len(form["columns"]) != len(made_for["columns"]):
        return f"the data has {len(form['columns'])} columns, the encoder was made for {len(made_for['columns'])}"
    return None


def _contains(form: Form, made_for: Form) -> bool:
    """Whether the channels that a model takes out of series are where it looks for them, by their names."""
    taken = [name for i, name in enumerate(form.get("names", ())) if i in made_for.get("take", ())]
    return bool(taken) and taken == made_for["names"]


def shape(form: Form) -> tuple[int, ...]:
    """The shape of one sample as an encoder sees it."""
    kind = form["modality"]
    if kind == "image":
        return form["channels"], form["size"], form["size"]
    if kind == "audio":
        return (form["samples"],)
    return (form["channels"], form["length"]) if kind == "series" else (len(form["columns"]),)


_PLURAL = {"image": "pictures", "audio": "audio", "series": "series", "table": "a table"}


def described(form: Form) -> str:
    """A form in a few words for people."""
    kind = form["modality"]
    if kind == "image":
        return f"{form['size']} px"
    if kind == "audio":
        return f"{form['samples'] / form['rate']:g} s at {form['rate'] / 1000:g} kHz"
    if kind == "series":
        return f"{form['channels']} channel{'s' * (form['channels'] != 1)} of {form['length']} steps"
    return f"{len(form['columns'])} columns"


def size_of(form: Form) -> float | int | None:
    """The size of the views as a user gives it: pixels a side, seconds, steps; None for tables."""
    kind = form["modality"]
    if kind == "audio":
        return float(form["samples"] / form["rate"])
    return {"image": form.get("size"), "series": form.get("length")}.get(kind)
