"""Non-local means by scikit-image: each pixel becomes the mean of those whose surroundings look alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ipse.errors import UserError, requires
from ipse.methods.restore import Restorer, Tile
from ipse.metrics.noise import gaussian_sigma


class NonLocalMeans(Restorer):
    """Averages pixels weighted by exp(-max(d^2 - 2 sigma^2, 0) / (strength sigma)^2), d the distance of the patches around them.

    sigma: of the noise, in units where white is 1; estimated from the picture without one.

    Buades, Coll & Morel, CVPR 2005; the fast mode of scikit-image
    """

    noise = "white Gaussian noise"
    fits = "nothing"

    def __init__(
        self, channels: int = 3, *, sigma: float | None = None, strength: float = 0.8, patch: int = 5, distance: int = 6
    ):
        super().__init__(channels)
        if patch < 1 or distance < 1:
            raise UserError(f"nlm: patch and distance must be at least 1, not {patch} and {distance}")
        self.sigma, self.strength, self.patch, self.distance = sigma, strength, patch, distance

    @property
    def halo(self) -> int:
        return self.distance + self.patch

    def survey(self, tiles: Iterable[Tile]) -> float:
        return self.sigma if self.sigma is not None else gaussian_sigma(tile.own(tile.x) for tile in tiles)

    def restore(self, x: Tensor, whole: float | None = None) -> Tensor:
        try:
            from skimage.restoration import denoise_nl_means
        except ImportError:
            raise requires("restore", "--method nlm") from None
        x = self.checked(x)
        sigma = whole if whole is not None else self.survey([Tile(x)])
        if sigma == 0:
            return x

        def one(image: Tensor) -> Any:
            return denoise_nl_means(
                image.permute(1, 2, 0).cpu().numpy().astype(np.float32),
                patch_size=self.patch,
                patch_distance=self.distance,
                h=self.strength * sigma,
                sigma=sigma,
                fast_mode=True,
                channel_axis=-1,
            )

        y = np.stack([one(image).reshape(*image.shape[1:], -1) for image in x])  # it drops a single channel
        return torch.from_numpy(y).permute(0, 3, 1, 2).to(x)
