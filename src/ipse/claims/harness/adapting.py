"""What claims about adaptation are written with: classifiers, and their errors on corrupted streams."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ipse.claims.harness.kit import selftrained, told

if TYPE_CHECKING:
    from ipse import Run
    from ipse.data import Data

NOISES_AND_MORE = ("gaussian_noise", "shot_noise", "defocus_blur", "fog", "contrast", "pixelate")


def classifier(data: Data, seed: int, steps: int, **words: Any) -> Run:
    """A small convolutional network that learned the classes of the training part, whose samples all have labels."""
    return selftrained(data, seed, **{"method": "supervised", "steps": steps, "batch_size": 64, "lr": 2e-3, **words})


def errors(run: Run, data: Data, seed: int, method: str, **words: Any) -> dict[str, float]:
    """The share of wrong answers on the test part under corruptions of severity 5, by model: the method, source and bn-adapt.

    The guard is off: a claim is about the method alone.
    """
    import ipse

    told.get()(f"adapting by {method}")
    with tempfile.TemporaryDirectory() as folder:
        usual = {"corrupt": NOISES_AND_MORE, "guard": False, "source": replace(data, test=None), "out": folder, "quiet": True}
        result = ipse.adapt(run, data, method=method, seed=seed, **{**usual, **words})
    error: dict[str, float] = result.error
    return error
