from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ipse.studies.forecast_contrast import ALGORITHMS, Contrast, augmented, instances
from ipse.studies.forecasters import Forecaster


def contrast_of(algorithm: str) -> tuple[Contrast, torch.nn.Module, Tensor]:
    torch.manual_seed(0)
    backbone = Forecaster("lstm", 2, 16, 4, 8).backbone
    return Contrast(algorithm, backbone, 8, queue=6), backbone, torch.randn(4, 2, 16)


def test_the_queue_holds_the_last_keys() -> None:
    contrast, backbone, x = contrast_of("M")
    before = contrast.queue.clone()
    contrast(x, backbone(x), backbone, 0)
    k = contrast.slow_head(contrast.slow_backbone(augmented(x, 0)).mean(1))
    torch.testing.assert_close(contrast.queue[:4], torch.nn.functional.normalize(k, dim=1))
    assert torch.equal(contrast.queue[4:], before[:2])


def test_half_of_each() -> None:
    (both, backbone, x), (m, *_), (h, *_) = (contrast_of(a) for a in ("M+H", "M", "H"))
    r = backbone(x)
    m.load_state_dict(both.state_dict())
    torch.testing.assert_close(both(x, r, backbone, 1), (m(x, r, backbone, 1) + h(x, r, backbone, 1)) / 2)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_only_the_fast_weights_learn(algorithm: str) -> None:
    contrast, backbone, x = contrast_of(algorithm)
    contrast(x, backbone(x), backbone, 2).backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in backbone.parameters())
    assert all(p.grad is None for m in (contrast.slow_backbone, contrast.slow_head) for p in m.parameters())


def test_instances_by_hand() -> None:
    one, two = torch.randn(2, 3, 3, 4)
    losses = []
    for f in range(3):
        z = torch.cat([one[:, f], two[:, f]])
        for i in range(6):
            others = [j for j in range(6) if j != i]
            losses.append((z[i] @ z[others].T).logsumexp(0) - z[i] @ z[(i + 3) % 6])
    torch.testing.assert_close(instances(one, two), torch.stack(losses).mean())


def test_changes_happen_to_half_of_the_windows_each() -> None:
    x = torch.ones(4000, 1, 4)
    same = (augmented(x, 5) == x).all(2).float().mean().item()
    assert same == pytest.approx(1 / 8, abs=0.02)
