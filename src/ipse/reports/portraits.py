"""What samples look like on a page, whatever they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from ipse.data import Samples
from ipse.reports.plots import lines, plots
from ipse.reports.sounds import sounds
from ipse.reports.spectrograms import spectrograms
from ipse.reports.tiles import columns_shown, readable, tiles
from ipse.transforms.image import original

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

PICTURE = 64  # pixels on the long side of a small picture
SMALL, LARGE = (45, 60), (96, 192)  # height and width of what is drawn: small for every sample, large for a few
READ = 12  # columns of a table that are shown as text


@dataclass(frozen=True)
class Portraits:
    """Small portraits of N samples, and more of a few: larger ones, curves, sounds, texts.

    called: what the portraits are, in the plural.  reading: how to read them, in a sentence.  thumbnails: (N, H, W, 1 or 3).
    closeups: places (M,) among the samples and their larger portraits (M, H, W, 3).
    lines: of the samples at some places, one curve (P,) for each of the `channels`, NaN where nothing is known; `left_out` more
    channels are not drawn.  sounds: of the samples at some places, a file for browsers.
    cells: of every sample, what it says in each of the `columns`.
    """

    thumbnails: Bytes
    called: str = "pictures"
    reading: str = ""
    closeups: tuple[Ints, Bytes] | None = None
    lines: Mapping[int, NDArray[np.floating]] = field(default_factory=dict)
    channels: Sequence[str] = ()
    left_out: int = 0
    sounds: Mapping[int, bytes] = field(default_factory=dict)
    columns: Sequence[str] = ()
    cells: Sequence[Sequence[str]] = ()

    def __len__(self) -> int:
        return len(self.thumbnails)


def portray(samples: Samples, near: Ints, columns: Sequence[int] | None = None) -> Portraits:
    """Portraits of samples of any modality.

    near: places (M,) of those that are shown larger, and heard.  columns: those of a table that are shown as text; by default the 12
    in which two rows most likely differ.
    """
    if samples.form["modality"] == "table":
        return _rows(samples, columns)
    return {"image": _pictures, "audio": _audio, "series": _series}[samples.form["modality"]](samples, near)


def _pictures(samples: Samples, near: Ints) -> Portraits:
    """Pictures in the largest square that fits, colours as they are; of other numbers of channels the first."""
    size = min(PICTURE, max(samples.read([0])["x"].shape[2:]))
    thumbnails = []
    for index in torch.arange(len(samples)).split(256):
        raw = samples.read(index)
        x = original(raw["x"], raw["aspect"], size).x
        x = x[:, :3] if x.shape[1] >= 3 else x[:, :1]
        thumbnails.append(((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy())
    return Portraits(np.concatenate(thumbnails))


def _audio(samples: Samples, near: Ints) -> Portraits:
    return Portraits(
        spectrograms(samples, *SMALL),
        "spectrograms",
        "In a spectrogram time runs to the right, from low tones at the bottom to high ones at the top; it is grey after the end.",
        closeups=(near, spectrograms(samples.subset(near), *LARGE)) if len(near) else None,
        sounds=sounds(samples, near),
    )


def _series(samples: Samples, near: Ints) -> Portraits:
    drawn = lines(samples)
    names = samples.form["names"]
    return Portraits(
        plots(drawn.curves, *SMALL),
        "plots",
        f"A plot runs from left to right over {samples.form['length']} steps, upwards over standardised values, of which 0 is "
        "the channel's mean; the plots of one row have one scale.",
        lines={int(i): drawn.curves[i] for i in near},
        channels=[str(names[channel]) for channel in drawn.channels],
        left_out=len(names) - len(drawn.channels),
    )


def _rows(samples: Samples, chosen: Sequence[int] | None) -> Portraits:
    x, columns = samples.read(np.arange(len(samples)))["x"].numpy(), samples.form["columns"]
    shown = columns_shown(x, READ) if chosen is None else chosen
    return Portraits(
        tiles(x, columns, *SMALL),
        "tiles",
        "Each tile is a column, in the order of the table: blue below the mean, red above it, another colour for each category, "
        "hatched where it is missing.",
        columns=[str(columns[column]["name"]) for column in shown],
        cells=list(zip(*(readable(x[:, column], columns[column]) for column in shown), strict=True)),
    )
