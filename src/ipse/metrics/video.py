"""How well a restored clip moves, compared with the true one."""

from __future__ import annotations

import torch
from torch import Tensor

from ipse.errors import UserError
from ipse.losses.perceptual import cosine_distance
from ipse.models.flow import lucas_kanade
from ipse.models.perceptual import VGG


@torch.no_grad()
def t_of(x: Tensor, reference: Tensor) -> float:
    """The mean difference of two clips' motion, in pixels: 0 for equal ones, and for none that stands still while the other moves.

        mean over t, pixels of  |OF(b_{t-1}, b_t) - OF(g_{t-1}, g_t)|_1

    `x`, `reference`: g and b, (T, C, H, W) in [0, 1], T of at least 2. OF: `models.flow.lucas_kanade`; the paper's is Farneback's.

    Chu et al., ACM TOG 2020, arXiv:1811.09393
    """
    _same(x, reference)
    flows = [lucas_kanade(clip[:-1], clip[1:]) for clip in (x, reference)]
    return float((flows[0] - flows[1]).abs().sum(1).mean())


@torch.no_grad()
def t_lp(x: Tensor, reference: Tensor, features: VGG | None = None) -> float:
    """The mean difference of how much two clips seem to change from frame to frame.

        mean over t of  | LP(b_{t-1}, b_t) - LP(g_{t-1}, g_t) |

    `x`, `reference`: g and b, (T, C, H, W) in [0, 1]. LP: the cosine distance of features, untrained ones by default; the paper's is LPIPS.
    Smoothing over time is not rewarded: a clip that stands still is as wrong as one that flickers.

    Chu et al., ACM TOG 2020, arXiv:1811.09393
    """
    _same(x, reference)
    phi = features or VGG(["1_2", "2_2", "3_3"], width=16)

    def changes(clip: Tensor) -> Tensor:
        maps = phi(clip)
        pairs = zip(range(len(clip) - 1), range(1, len(clip)), strict=True)
        return torch.stack([cosine_distance([m[i : i + 1] for m in maps], [m[j : j + 1] for m in maps]) for i, j in pairs])

    return float((changes(x) - changes(reference)).abs().mean())


def _same(x: Tensor, reference: Tensor) -> None:
    if x.shape != reference.shape or x.dim() != 4 or len(x) < 2:
        raise UserError(
            f"clips are (T, C, H, W) of at least 2 frames and one shape, not {tuple(x.shape)} and {tuple(reference.shape)}"
        )
