"""Sounds as small files that any browser plays."""

from __future__ import annotations

import io
import wave
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ipse.data import Samples
from ipse.data.form import RATE

BUDGET = 1_400_000  # bytes; data URIs take 4/3 of that
SECONDS = (4.0, 3.0, 2.0, 1.5, 1.0, 0.7)  # of each sound at most: the first that fits


def sounds(samples: Samples, index: Sequence[int] | NDArray[np.int64], budget: int = BUDGET) -> dict[int, bytes]:
    """Files of the samples at `index`, by their place: MP3 where soundfile can write it, else WAV at 8 kHz.

    All together take at most `budget` bytes: at first each keeps 4 s, then less; where even 0.7 s are too much, some have none.
    """
    clips = {}
    for i in map(int, index):
        raw = samples.read([i])
        clips[i] = raw["x"][0, : int(raw["length"][0])].numpy()
    files: dict[int, bytes] = {}
    for seconds in SECONDS:
        files = {i: encoded(clip[: int(seconds * RATE)]) for i, clip in clips.items() if len(clip)}
        if sum(map(len, files.values())) <= budget:
            return files
    room = np.cumsum([len(file) for file in files.values()]) <= budget
    return {i: file for (i, file), fits in zip(files.items(), room, strict=True) if fits}


def encoded(clip: NDArray[np.int16]) -> bytes:
    """A wave at 16 kHz as a file; the same wave gives the same bytes."""
    stream = io.BytesIO()
    try:
        import soundfile

        soundfile.write(stream, clip, RATE, format="MP3", subtype="MPEG_LAYER_III", compression_level=0.8)
        return stream.getvalue()
    except (ImportError, OSError, TypeError, ValueError, RuntimeError):
        return _as_wav(clip)


def mime(file: bytes) -> str:
    """The type of a file that `encoded` made."""
    return "audio/wav" if file.startswith(b"RIFF") else "audio/mpeg"


def _as_wav(clip: NDArray[np.int16]) -> bytes:
    """Half the samples, each the mean of its surroundings, so that high tones do not come back as low ones."""
    x = torch.from_numpy(np.pad(clip.astype(np.float32), (3, 4), mode="edge"))
    kernel = torch.hann_window(9)[1:] / 4.5
    half = x.unfold(0, len(kernel), 2) @ kernel
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setparams((1, 2, RATE // 2, 0, "NONE", ""))
        file.writeframes(half.round().clamp(-32768, 32767).numpy().astype("<i2").tobytes())
    return stream.getvalue()
