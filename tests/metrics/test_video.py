from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ipse.errors import UserError
from ipse.metrics.video import t_lp, t_of


def clip(speed: float, frames: int = 4) -> Tensor:
    x, y = torch.arange(40.0), torch.arange(32.0)[:, None]
    waves = [
        torch.sin(0.4 * (x - speed * t)) * torch.cos(0.3 * y) + torch.sin(0.23 * (x - speed * t) + 0.3 * y)
        for t in range(frames)
    ]
    return (0.5 + 0.2 * torch.stack(waves))[:, None]


def test_a_clip_moves_like_itself() -> None:
    assert t_of(clip(2), clip(2)) == 0
    assert t_lp(clip(2), clip(2)) == 0


def test_standing_still_is_not_rewarded() -> None:
    frozen = clip(0)
    assert t_lp(frozen, clip(2)) > 0.001
    assert t_of(frozen, clip(2)) == pytest.approx(2, abs=0.4)
    assert t_lp(frozen, frozen) == 0


def test_nearer_motion_is_nearer() -> None:
    assert t_of(clip(1.5), clip(2)) < t_of(clip(1), clip(2)) < t_of(clip(0), clip(2))
    assert t_lp(clip(1.5), clip(2)) < t_lp(clip(0), clip(2))


def test_mistakes() -> None:
    with pytest.raises(UserError, match="at least 2 frames"):
        t_of(clip(1, 1), clip(1, 1))
    with pytest.raises(UserError, match="one shape"):
        t_lp(clip(1, 3), clip(1, 4))
