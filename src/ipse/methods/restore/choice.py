"""Which method suits a photo."""

from __future__ import annotations

from typing import Any, NamedTuple

from ipse.metrics.noise import Noise

DARK, LIGHT = 0.25, 0.85
VISIBLE = 2.5 / 255  # of noise, in units where white is 1
CORRELATED = 0.3
FROM_LIGHT = 0.5


class Choice(NamedTuple):
    """A method by its key ('' for none), its settings, and why in a few words."""

    method: str
    settings: dict[str, Any]
    why: str


def choose(noise: Noise) -> Choice:
    """The method for a photo of such noise.

    Dark or very light photos go to noiser, with the photo's own hues mostly kept and a little smoothness, which is our choice and
    not the paper's. Otherwise the noise decides: correlated between neighbours, growing with the light, or white. What learns for
    long is taken at a size that a processor manages.
    """
    if noise.brightness < DARK or noise.brightness > LIGHT:
        dark = noise.brightness < DARK
        why = f"{'dark' if dark else 'very light'}: mean brightness {noise.brightness:.2f}"
        return Choice("noiser", {"color": 0.8, "tv": 0.3}, why)
    if noise.sigma < VISIBLE:
        return Choice("", {}, f"no more noise than 8 bits hide (sigma {255 * noise.sigma:.1f} of 255) and of normal brightness")
    size = f"sigma {255 * noise.sigma:.0f} of 255"
    if noise.correlation > CORRELATED:
        why = f"noise of neighbours is correlated, {noise.correlation:.2f}; {size}"
        return Choice("cbsn-downsampled-invariance", {"width": 32, "modules": 3}, why)
    if noise.from_light > FROM_LIGHT:
        why = f"noise grows with the light, as that of photons does; {size}"
        return Choice("generalized-r2r", {"noise": "poisson", "width": 16}, why)
    return Choice("filter2noise", {}, f"white noise, {size}")
