"""Every kind of audio file becomes one channel of 16 bits at 16 kHz, or a plain reason why not."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest

from ipse.data import decode_audio as module
from ipse.data.decode import UnreadableError
from ipse.data.decode_audio import as_shorts, extensions, resampled

soundfile = pytest.importorskip("soundfile")

LOSSLESS = [("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "PCM_32"), ("WAV", "FLOAT"), ("FLAC", "PCM_16"), ("AIFF", "PCM_16"), ("AU", "PCM_16")]  # fmt: skip
LOSSY = [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")]


def tone(seconds=1.0, rate=16000, hertz=440.0):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def audio(x, rate=16000, kind="WAV", subtype="PCM_16"):
    file = io.BytesIO()
    soundfile.write(file, x, rate, format=kind, subtype=subtype)
    return file.getvalue()


def decode(data):
    into = io.BytesIO()
    found = module.decode(io.BytesIO(data), into)
    x = np.frombuffer(into.getvalue(), np.int16)
    assert len(x) == found.length
    return x, found.remark


def reason(data):
    with pytest.raises(UnreadableError) as error:
        decode(data)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(("kind", "subtype"), LOSSLESS)
def test_sixteen_bits_stay_what_they_are(kind, subtype):
    x = np.random.default_rng(0).integers(-32768, 32768, 5000).astype(np.int16)
    assert (decode(audio(x / 32768, kind=kind, subtype=subtype))[0] == x).all()


@pytest.mark.parametrize(("kind", "subtype"), LOSSY)
def test_lossy_files_sound_alike(kind, subtype):
    x, remark = decode(audio(tone(), kind=kind, subtype=subtype))
    assert abs(len(x) - 16000) <= 2 * 1152  # a codec's frames
    spectrum = abs(np.fft.rfft(x[4000:12000] / 32768))
    assert spectrum.argmax() == 220  # 440 Hz in half a second
    assert remark is None


def test_eight_bits():
    x, _ = decode(audio(tone(), subtype="PCM_U8"))
    assert abs(x / 32768 - tone()).max() <= 1 / 128


def test_channels_are_averaged():
    left, right = tone(), tone(hertz=700)
    x, _ = decode(audio(np.stack([left, right], 1), subtype="FLOAT"))
    assert abs(x / 32768 - (left + right) / 2).max() < 1e-4
    assert abs(decode(audio(np.stack([left] * 6, 1), subtype="FLOAT"))[0] / 32768 - left).max() < 1e-4


def test_floats_that_are_too_loud_are_scaled_and_not_cut():
    x, _ = decode(audio(32768 * tone(), subtype="FLOAT"))
    assert abs(x / 32768 - tone() / 0.5).max() < 1e-3
    assert as_shorts(np.array([-1.5, -1, 1, 7], np.float32)).tolist() == [-32768, -32768, 32767, 32767]


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 32000, 44100, 48000, 96000])
def test_other_rates_keep_what_can_be_heard(rate):
    x, _ = decode(audio(tone(0.5, rate, 1000), rate, subtype="FLOAT"))
    assert len(x) == 8000
    middle = slice(800, -800)  # the wave begins and ends at once, and the filter rings there
    assert abs(x / 32768 - tone(0.5, 16000, 1000))[middle].max() < 1e-3


def test_odd_rates_are_nearly_right():
    x, _ = decode(audio(tone(2, 44101, 1000), 44101, subtype="FLOAT"))
    assert len(x) in range(31999, 32002)
    assert abs(abs(np.fft.rfft(x)).argmax() - 2000) <= 1


def test_what_16_khz_cannot_hold_is_gone():
    x, _ = decode(audio(tone(0.5, 48000, 300) + tone(0.5, 48000, 11000), 48000, subtype="FLOAT"))
    assert abs(x / 32768 - tone(0.5, 16000, 300))[800:-800].max() < 1e-3


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 44101, 48000])
@pytest.mark.parametrize("size", [7, 1000, 4410])
def test_the_borders_of_pieces_are_not_heard(rate, size):
    x = np.random.default_rng(0).normal(0, 0.3, 10_001).astype(np.float32)
    once = np.concatenate(list(resampled([x], rate)))
    streamed = np.concatenate(list(resampled((x[i : i + size] for i in range(0, len(x), size)), rate)))
    assert len(once) == len(streamed)
    assert abs(len(once) - len(x) * 16000 / rate) <= 1
    assert abs(once - streamed).max() < 1e-5


def test_a_file_of_many_blocks_is_that_of_one(monkeypatch):
    data = audio(np.random.default_rng(0).normal(0, 0.1, (44100, 2)), 44100)
    once, _ = decode(data)
    monkeypatch.setattr(module, "_BLOCK", 999)
    assert (abs(decode(data)[0].astype(int) - once) <= 1).all()


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "FLAC", "MP3"])
def test_what_is_there_of_a_truncated_file_is_kept(kind):
    x = np.random.default_rng(0).normal(0, 0.1, 48000)
    whole = audio(x, kind=kind, subtype={"MP3": "MPEG_LAYER_III"}.get(kind, "PCM_16"))
    cut, remark = decode(whole[: len(whole) // 2])
    assert 16000 < len(cut) <= 24000
    assert remark == f"truncated: {len(cut) / 16000:.2f} of 3.00 s kept"
    if kind != "MP3":
        assert abs(cut / 32768 - x[: len(cut)]).max() < 1e-4
    assert decode(whole)[1] is None


def test_a_length_that_the_writer_did_not_know_is_no_truncation():
    data = bytearray(audio(tone()))
    place = data.find(b"data") + 4
    data[place : place + 4] = struct.pack("<I", 0xFFFFFFFF)
    x, remark = decode(bytes(data))
    assert (len(x), remark) == (16000, None)


def test_what_cannot_be_used_has_a_plain_reason():
    nan = tone()
    nan[77] = np.nan
    infinite = tone()
    infinite[0] = np.inf
    cases = {
        b"": "the file is empty",
        b"just some text" * 100: "not a recording of a known format",
        audio(tone(), kind="MP3", subtype="MPEG_LAYER_III")[:60]: "not a recording of a known format",
        audio(tone())[:20]: "broken: ",
        audio(tone(), kind="FLAC")[:60]: "broken: ",
        audio(np.zeros(16000)): "silent",
        audio(np.full(16000, -1 / 128), subtype="PCM_U8"): "silent",
        audio(tone() * 1e-4): "silent",
        audio(np.zeros(44100), 44100, "FLAC"): "silent",
        audio(nan, subtype="FLOAT"): "contains NaN or infinite values",
        audio(infinite, subtype="DOUBLE"): "contains NaN or infinite values",
        audio(tone(0.0199)): "shorter than 20 ms",
        audio(np.zeros(0)): "shorter than 20 ms",
        audio(np.zeros(0), 44100): "shorter than 20 ms",
        audio(tone(), 100): "broken: 100 samples a second",
    }
    for data, expected in cases.items():
        assert reason(data).startswith(expected)
    assert len(decode(audio(tone(0.02)))[0]) == 320


def test_endings_of_recordings_are_known():
    assert {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".au"} <= extensions()
    assert not {".mid", ".txt", ".mp4", ".raw"} & extensions()
