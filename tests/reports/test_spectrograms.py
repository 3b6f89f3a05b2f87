import numpy as np

from ipse.data.strings import Strings
from ipse.data.waves import Waves
from ipse.reports.spectrograms import BEHIND, colours, spectrograms


def pictures(*clips, height=40, width=50, window=16000):
    length = np.array([len(clip) for clip in clips])
    x = np.concatenate(clips).astype(np.int16)
    samples = Waves(
        x, np.cumsum(length) - length, length, np.full(len(clips), -1), Strings.of("abc"[: len(clips)]), window=window
    )
    return spectrograms(samples, height, width)


def tone(hertz, seconds=1.0, loudness=9000):
    return loudness * np.sin(2 * np.pi * hertz * np.arange(int(seconds * 16000)) / 16000)


def brightest(picture):
    return picture.astype(int).sum(axis=(1, 2)).argmax()


def test_high_tones_stand_higher():
    low, middle, high = (brightest(x) for x in pictures(tone(200), tone(1500), tone(6000)))
    assert high < middle < low
    assert low > 35
    assert high < 6


def test_loudness_does_not_matter_but_silence_is_black():
    loud, soft, silent = pictures(tone(1000), tone(1000, loudness=900), np.zeros(16000))
    line = brightest(loud)
    assert brightest(soft) == line
    assert (loud[line] > 200).any(axis=1).all()
    assert np.abs(loud[line].astype(int) - soft[line]).max() <= 1
    assert (silent == (0, 0, 4)).all()


def test_behind_the_end_it_is_grey():
    whole, half = pictures(tone(1000), tone(1000, 0.5))
    assert not (whole == BEHIND).all(axis=-1).any()
    behind = (half == BEHIND).all(axis=-1)
    assert behind[:, 26:].all()
    assert not behind[:, :24].any()


def test_very_short_and_no_clips():
    (made,) = pictures(tone(1000, 0.001))
    assert (made == BEHIND).all(axis=-1)[:, 1:].all()
    assert pictures(tone(1000), width=200, window=1600).shape[2] == 200


def test_the_colours_get_lighter_evenly():
    rgb = colours(np.linspace(0, 1, 65)) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = linear @ (0.2126, 0.7152, 0.0722)
    lightness = 116 * np.cbrt(luminance) - 16
    step = np.diff(lightness[8:])  # near black the cube root is not yet lightness
    assert (step > 0.8).all()
    assert step.max() < 2.6
