"""BM3D by its authors' package: patches that look alike are stacked, and their common transform is thinned out."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from ipse.errors import requires
from ipse.methods.restore import Restorer, Tile
from ipse.metrics.noise import gaussian_sigma


class BM3D(Restorer):
    """Block matching and collaborative filtering in three dimensions, hard thresholding and then Wiener.

    sigma: of the noise, in units where white is 1; estimated from the picture without one. Tiles look 64 pixels around them, which
    covers its search; they begin anew where it starts its blocks, which leaves no visible seam, but is not the same to the last digit.

    Dabov, Foi, Katkovnik & Egiazarian, IEEE TIP 2007
    """

    noise = "white Gaussian noise"
    fits = "nothing"

    def __init__(self, channels: int = 3, *, sigma: float | None = None):
        super().__init__(channels)
        self.sigma = sigma

    @property
    def halo(self) -> int:
        return 64

    def survey(self, tiles: Iterable[Tile]) -> float:
        return self.sigma if self.sigma is not None else gaussian_sigma(tile.own(tile.x) for tile in tiles)

    def restore(self, x: Tensor, whole: float | None = None) -> Tensor:
        try:
            from bm3d import bm3d, bm3d_rgb
        except ImportError:
            raise requires("restore", "--method bm3d") from None
        x = self.checked(x)
        sigma = whole if whole is not None else self.survey([Tile(x)])
        if sigma == 0 or min(x.shape[-2:]) < 8:
            return x
        images = x.permute(0, 2, 3, 1).cpu().numpy().astype(np.float64)
        y = np.stack([bm3d_rgb(i, sigma) if self.channels == 3 else bm3d(i[..., 0], sigma)[..., None] for i in images])
        return torch.from_numpy(y).permute(0, 3, 1, 2).to(x)
