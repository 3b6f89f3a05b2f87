"""One view of a batch of samples."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass
class View:
    """What an encoder sees of each sample, and how that came about.

    x: (B, ...), of the modality's form; NaN where nothing is known.
    matrix: (B, d, d + 1), the affine map from a place in the view to the place in the source it shows; both in [-1, 1] along each
    of d axes: of pictures x to the right and y down, of audio and series time. None of tables, which have no places.
    colour: (B, C, C + 1), the affine map that was applied to a picture's colours (in [-1, 1]) before clamping.
    """

    x: Tensor
    matrix: Tensor | None = None
    colour: Tensor | None = None
