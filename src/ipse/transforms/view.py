"""One view of a batch of samples."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass
class View:
    """What an encoder sees of each sample, and how that came about.

    x: (B, C, H, W) in [-1, 1].
    matrix: (B, 2, 3), the affine map from a place in the view to the place in the source picture it shows; both in [-1, 1],
    x to the right, y down.
    colour: (B, C, C + 1), the affine map that was applied to the colours (in [-1, 1]) before clamping.
    """

    x: Tensor
    matrix: Tensor
    colour: Tensor
