"""Total-variation denoising by scikit-image: the picture of least variation that stays near the noisy one."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ipse.errors import UserError, requires
from ipse.methods.restore import Restorer


class TotalVariation(Restorer):
    """min over u of  |grad u| + |u - x|^2 / (2 weight),  by Chambolle's projections.

    Rudin, Osher & Fatemi, Physica D 1992; Chambolle, JMIV 2004
    """

    noise = "white Gaussian noise on pictures of flat areas"
    fits = "nothing"

    def __init__(self, channels: int = 3, *, weight: float = 0.1):
        super().__init__(channels)
        if not weight > 0:
            raise UserError(f"tv: weight must be more than 0, not {weight:g}")
        self.weight = weight

    def restore(self, x: Tensor, whole: None = None) -> Tensor:
        try:
            from skimage.restoration import denoise_tv_chambolle
        except ImportError:
            raise requires("restore", "--method tv") from None
        images = self.checked(x).permute(0, 2, 3, 1).cpu().numpy().astype(np.float32)
        y = np.stack([denoise_tv_chambolle(image, weight=self.weight, channel_axis=-1) for image in images])
        return torch.from_numpy(y).permute(0, 3, 1, 2).to(x)
