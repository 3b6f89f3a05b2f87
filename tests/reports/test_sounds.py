import io
import sys
import wave

import numpy as np
import pytest

from ipse.data.strings import Strings
from ipse.data.waves import Waves
from ipse.reports.sounds import encoded, mime, sounds


def tone(hertz=440, seconds=1.0):
    return (9000 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * 16000)) / 16000)).astype(np.int16)


def samples(n, seconds):
    length = np.full(n, int(seconds * 16000))
    x = np.random.default_rng(0).integers(-3000, 3000, length.sum()).astype(np.int16)
    return Waves(
        x, np.cumsum(length) - length, length, np.full(n, -1), Strings.of(map(str, range(n))), window=int(seconds * 16000)
    )


@pytest.fixture
def no_soundfile(monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)


def test_mp3_comes_back_as_the_tone():
    soundfile = pytest.importorskip("soundfile")
    file = encoded(tone())
    assert mime(file) == "audio/mpeg"
    assert len(file) < 8000
    assert file == encoded(tone())
    x, rate = soundfile.read(io.BytesIO(file))
    assert rate == 16000
    assert abs(len(x) / rate - 1) < 0.1
    assert np.abs(np.fft.rfft(x[4000:12000])).argmax() == 220


def test_wav_where_there_is_no_soundfile(no_soundfile):
    file = encoded(tone())
    assert mime(file) == "audio/wav"
    with wave.open(io.BytesIO(file)) as opened:
        assert (opened.getframerate(), opened.getnchannels(), opened.getnframes()) == (8000, 1, 8000)
        x = np.frombuffer(opened.readframes(8000), "<i2").astype(float)
    np.testing.assert_allclose(np.abs(x).max(), 9000, rtol=0.05)
    assert np.abs(np.fft.rfft(x)).argmax() == 440
    with wave.open(io.BytesIO(encoded(tone(7000)))) as opened:
        assert np.abs(np.frombuffer(opened.readframes(8000)[100:-100], "<i2")).max() < 900  # it would come back as 1 kHz


def test_the_budget_shortens_all_alike(no_soundfile):
    whole = sounds(samples(4, 3.0), [0, 2, 3], budget=200_000)
    assert list(whole) == [0, 2, 3]
    assert {len(file) for file in whole.values()} == {44 + 2 * 24000}
    shorter = sounds(samples(4, 3.0), [0, 2, 3], budget=60_000)
    assert {len(file) for file in shorter.values()} == {44 + 2 * 8000}


def test_what_does_not_fit_has_no_sound(no_soundfile):
    made = sounds(samples(4, 3.0), [3, 1, 0], budget=23_000)
    assert list(made) == [3, 1]
    assert sounds(samples(2, 1.0), []) == {}
