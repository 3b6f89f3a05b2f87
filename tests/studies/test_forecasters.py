from __future__ import annotations

import pytest
import torch

from ipse.studies.forecasters import BACKBONES, Forecaster


@pytest.mark.parametrize("backbone", BACKBONES)
def test_hidden_steps_are_not_seen(backbone: str) -> None:
    torch.manual_seed(0)
    model, x = Forecaster(backbone, 2, 16, 4, 8).eval(), torch.randn(3, 2, 16)
    hidden = torch.zeros(3, 16, dtype=torch.bool)
    hidden[:, 4:9] = True
    changed = x.clone()
    changed[:, :, 4:9] = 7.0
    torch.testing.assert_close(model.backbone(x, hidden), model.backbone(changed, hidden))
    assert not torch.allclose(model.backbone(x), model.backbone(changed))
    assert model(x).shape == (3, 2, 4)


@pytest.mark.parametrize("backbone", ["tcn", "lstm"])
def test_causal_ones_do_not_see_what_comes(backbone: str) -> None:
    model, x = Forecaster(backbone, 2, 16, 4, 8).backbone, torch.randn(3, 2, 16)
    torch.testing.assert_close(model(x)[:, :9], model(torch.cat([x[..., :9], torch.randn(3, 2, 7)], dim=2))[:, :9])
