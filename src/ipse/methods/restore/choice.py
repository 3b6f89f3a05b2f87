"""Which method suits a photo."""

from __future__ import annotations

from typing import Any, NamedTuple

from ipse.metrics.noise import Noise

DARK, LIGHT = 0.25, 0.85
VISIBLE = 2.5 / 255  # of noise, in units where white is 1
CORRELATED = 0.3
FROM_LIGHT = 0.5


class Choice(NamedTuple):
    """A method by its key ('' for none), its settings, why in a few words, and how long it learns; None for the method's own number of steps."""

    method: str
    settings: dict[str, Any]
    why: str
    steps: int | None = None

    @property
    def what(self) -> str:
        """All but the reason: what is the same for photos that are restored together."""
        return repr((self.method, self.settings, self.steps))


def choose(noise: Noise) -> Choice:
    """The method for a photo of such noise.

    Dark or very light photos go to noiser, with the photo's own hues mostly kept and a little smoothness, which is our choice and
    not the paper's. Otherwise the noise decides: correlated between neighbours, growing with the light, or white. Nets and steps are
    of a size that a processor manages in a minute, chosen on two colour photos with noise of sigma 25 of 255: from 20.9 dB and white
    noise to 26.3 dB by generalized-r2r in 17 s of processor time for each, where filter2noise comes to 26.1 in 94 s; correlated noise
    to 21.9 dB by filter2noise at 35 for the edges, where cbsn in 1500 steps of a width of 24 stays at 20.2.
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
        return Choice("filter2noise", {"edges": 35.0}, why, 300)
    family, why = "gaussian", f"white noise, {size}"
    if noise.from_light > FROM_LIGHT:
        family, why = "poisson", f"noise grows with the light, as that of photons does; {size}"
    return Choice("generalized-r2r", {"noise": family, "width": 16, "patch": 48, "batch": 4}, why, 500)
