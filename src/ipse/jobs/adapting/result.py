"""The results of a stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ipse.methods.adapt import Guarded


@dataclass
class Adapted:
    """What came of a stream.

    path: the folder with predictions.csv, report.html and the state. adapter: as it is now. prediction, source: (N,) the class of each
    answer, of the adapted and the unadapted model, as numbers of `classes`; confidence: (N,) of the former. segments: a row per
    segment with its name, samples and, by model, the error where there are labels. events: what the guard did.
    """

    path: Path
    adapter: Guarded
    classes: tuple[str, ...]
    prediction: NDArray[np.int64]
    source: NDArray[np.int64]
    confidence: NDArray[np.float32]
    segments: list[dict[str, Any]] = field(repr=False)

    @property
    def events(self) -> list[str]:
        """What the guard did, in order."""
        return [f"at sample {event.sample}: {event.text}" for event in self.adapter.events]

    @property
    def error(self) -> dict[str, float]:
        """The share of wrong answers by model, over all segments; empty without labels."""
        import numpy as np

        rows = [row for row in self.segments if row["error"]]
        counts = [row["judged"] for row in rows]
        return {
            name: float(np.average([row["error"][name] for row in rows], weights=counts))
            for name in (rows[0]["error"] if rows else ())
        }
