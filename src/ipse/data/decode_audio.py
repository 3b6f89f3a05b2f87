"""One audio file, of whatever kind, as one channel of 16 bits at 16 kHz."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import cache
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ipse.data.decode import UnreadableError
from ipse.data.form import RATE
from ipse.errors import requires

Floats = NDArray[np.float32]
Shorts = NDArray[np.int16]

SHORTEST = RATE // 50

_EXTENSIONS = ".aif .aifc .aiff .au .caf .flac .mp3 .oga .ogg .opus .sph .w64 .wav .wave"
_BLOCK = 1 << 16  # numbers that are read at a time
_QUIET = 1e-4  # -80 dB
_RATES = range(1000, 768_001)
_UNKNOWN = {1, 7, 18}  # codes of libsndfile for what is not of its formats
_CUT = re.compile(r"^\s*(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
_ENDLESS = 0x7FFF0000  # bytes: what is written as a length by programs that do not know it yet
_CROSSINGS = 24  # of the filter's sinc with zero, on each side


class Decoded(NamedTuple):
    """A recording: how many samples it has, and what is to be said of it, if anything."""

    length: int
    remark: str | None


@cache
def extensions() -> frozenset[str]:
    """The endings of names of audio files."""
    return frozenset(_EXTENSIONS.split())


def decode(file: IO[bytes], into: IO[bytes]) -> Decoded:
    """Writes a recording into another file, piece by piece, as int16: the mean of its channels, at 16 kHz.

    Floats beyond [-1, 1] are scaled to fit. Of a truncated file all that is there is kept, with a remark.
    Raises UnreadableError with a plain reason, which also silence and less than 20 ms are.
    """
    with _opened(file) as sound:
        mono = _Mono(sound, _gain(sound))
        length = 0
        for piece in resampled(mono, sound.samplerate):
            into.write(as_shorts(piece).data)
            length += len(piece)
        if length < SHORTEST:
            raise UnreadableError("shorter than 20 ms")
        if is_silent(mono.low, mono.high):
            raise UnreadableError("silent")
        return Decoded(length, _remark(sound, mono.frames))


def is_silent(low: float, high: float) -> bool:
    """Whether numbers of a wave, from `low` to `high`, are no sound: all within -80 dB of one another."""
    return high - low < 2 * _QUIET


def as_shorts(x: Floats) -> Shorts:
    """Numbers in [-1, 1] as 16 bits, so that those of a 16-bit file are what they were."""
    return np.clip(np.rint(x * 32768), -32768, 32767).astype(np.int16)


def resampled(pieces: Iterable[Floats], rate: int) -> Iterator[Floats]:
    """Pieces of a wave of `rate` numbers a second as pieces of the same wave at 16 kHz, wherever the borders are.

    By a windowed sinc; each piece is filtered together with as much of its neighbours as the filter reaches.
    """
    up, down = _ratio(rate)
    if up == down:
        yield from pieces
        return
    kernel = _kernel(up, down)
    context = (len(kernel) - down) // 2

    def filtered(x: Floats) -> Floats:
        """The numbers at 16 kHz of x, without the context at its ends."""
        return np.ascontiguousarray(sliding_window_view(x, len(kernel))[::down] @ kernel).ravel()

    held = np.zeros(context, np.float32)
    for piece in pieces:
        held = np.concatenate([held, piece])
        ready = (len(held) - 2 * context) // down * down
        if ready > 0:
            yield filtered(held[: ready + 2 * context])
            held = held[ready:]
    if left := len(held) - context:
        yield filtered(np.pad(held, (0, -left % down + context)))[: math.ceil(left * up / down)]


def _ratio(rate: int) -> tuple[int, int]:
    """How many numbers at 16 kHz take the place of how many at `rate`: nearly for odd rates, and for speed not only a few."""
    ratio = Fraction(rate, RATE).limit_denominator(1000) if rate < RATE else 1 / Fraction(RATE, rate).limit_denominator(1000)
    many = -(-64 // ratio.denominator)
    return many * ratio.denominator, many * ratio.numerator


@cache
def _kernel(up: int, down: int) -> Floats:
    """What each of `up` numbers (columns) takes of the `down` numbers in their place, and of those around (rows).

    A sinc that keeps what is below 0.92 of the lower of the two rates' highest frequencies, in a Kaiser window.
    """
    lower = min(1.0, up / down)
    reach = _CROSSINGS / lower
    around = math.ceil(reach)
    apart = np.arange(-around, down + around)[:, None] - np.arange(up) * (down / up)
    taps = np.sinc(0.92 * lower * apart) * np.i0(8 * np.sqrt(np.clip(1 - (apart / reach) ** 2, 0, 1))) * (abs(apart) <= reach)
    return np.asarray(taps / taps.sum(0), np.float32)


class _Mono:
    """A recording as blocks (n,) of one channel, and what is learned of it on the way."""

    def __init__(self, sound: Any, gain: float = 1.0) -> None:
        self._sound, self._gain = sound, np.float32(gain)
        self.frames, self.low, self.high = 0, math.inf, -math.inf

    def __iter__(self) -> Iterator[Floats]:
        channels = self._sound.channels
        block = np.empty((max(1, _BLOCK // channels), channels), np.float32)
        while count := _read(self._sound, block, self.frames):
            with np.errstate(invalid="ignore", over="ignore"):
                x = block[:count].mean(1) * self._gain
            low, high = float(x.min()), float(x.max())
            if not (math.isfinite(low) and math.isfinite(high)):
                raise UnreadableError("contains NaN or infinite values")
            self.low, self.high = min(self.low, low), max(self.high, high)
            self.frames += count
            yield x
            if count < len(block):
                return


def _read(sound: Any, block: Floats, place: int) -> int:
    """Fills a block as far as the file can be read from `place` on; how many frames those are."""
    import soundfile

    try:
        return len(sound.read(out=block))
    except soundfile.SoundFileError:  # what was decoded before the damage is there all the same
        return max(0, int(sound.tell()) - place)


def _gain(sound: Any) -> float:
    """What makes the floats of a file fit into [-1, 1]."""
    if sound.subtype not in ("FLOAT", "DOUBLE"):
        return 1.0
    mono = _Mono(sound)
    for _ in mono:
        pass
    sound.seek(0)
    return 1 / max(1.0, mono.high, -mono.low)


def _opened(file: IO[bytes]) -> Any:
    """Opens a recording."""
    try:
        import soundfile
    except (ImportError, OSError) as error:  # the package, or the library that it stands for
        raise requires("audio", "reading recordings") from error
    if not file.read(1):
        raise UnreadableError("the file is empty")
    file.seek(0)
    try:
        sound = soundfile.SoundFile(file)
    except soundfile.LibsndfileError as error:
        unknown = error.code in _UNKNOWN
        raise UnreadableError("not a recording of a known format" if unknown else f"broken: {_reason(error)}") from error
    if sound.samplerate not in _RATES:
        raise UnreadableError(f"broken: {sound.samplerate} samples a second")
    return sound


def _reason(error: Any) -> str:
    return str(error.error_string).removeprefix("Error").strip(" :.")


def _remark(sound: Any, frames: int) -> str | None:
    """What to say of a recording of which `frames` frames could be read."""
    whole = sound.frames
    for claimed, there in re.findall(_CUT, sound.extra_info):
        if int(there) < int(claimed) < _ENDLESS:
            whole = max(whole, round(frames * int(claimed) / int(there)))
    if whole - frames < sound.samplerate / 50 or whole > 1 << 50:
        return None
    return f"truncated: {frames / sound.samplerate:.2f} of {whole / sound.samplerate:.2f} s kept"
