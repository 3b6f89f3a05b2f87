from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.methods.series import FORM, batch, gappy, learns, series
from torch import Tensor

from ipse.errors import UserError
from ipse.losses import sdsc_loss
from ipse.methods.pretrain.patchtst import PatchTST, hide
from ipse.models.dilated_conv import DilatedConv
from ipse.models.patch_transformer import PatchTransformer
from ipse.models.revin import denormalise, normalise


def method(*, options: dict[str, Any] | None = None, **settings: Any) -> PatchTST:
    torch.manual_seed(0)
    return PatchTST(
        PatchTransformer(FORM, **{"patch": 8, "width": 16, "depth": 1, "heads": 2, **(options or {})}), **settings
    ).train()


class TestCard:
    def test_a_64_patches_of_512_steps(self) -> None:
        form = {"modality": "series", "channels": 1, "length": 512}
        assert PatchTransformer(form, patch=16, stride=8).count == 64

    def test_b_channels_do_not_see_each_other(self) -> None:
        learner, x = method().eval(), series()
        order = [2, 0, 1]
        forecast = _forecaster(learner)
        torch.testing.assert_close(forecast(x[:, order]), forecast(x)[:, order])
        changed = torch.cat([x[:, :1], torch.randn(6, 2, 64)], dim=1)
        torch.testing.assert_close(forecast(changed)[:, 0], forecast(x)[:, 0])

    def test_c_forecasts_follow_scale_and_shift(self) -> None:
        learner, x = method().eval(), series()
        forecast = _forecaster(learner)
        torch.testing.assert_close(forecast(3 * x + 5), 3 * forecast(x) + 5, rtol=1e-3, atol=1e-3)

    def test_d_patches_that_were_not_hidden_teach_nothing(self) -> None:
        for loss in ("mse", "sdsc", "hybrid"):
            learner, seen = method(loss=loss), []
            learner.head.register_forward_hook(lambda module, given, out, seen=seen: seen.append(out))
            (grad,) = torch.autograd.grad(learner.loss(batch(series())).loss, seen)
            grad = grad.abs().sum(2).view(6, 3, 8)
            assert ((grad > 0).sum(2) == 4).all()  # ceil(0.4 * 8) of each sample and channel


def _forecaster(learner: PatchTST) -> Any:
    head = torch.nn.Linear(8 * 16, 5)

    def forecast(x: Tensor) -> Tensor:
        _, mean, scale = normalise(x)
        return denormalise(head(learner.encoder.dense(x).unflatten(1, (3, 8)).flatten(2)), mean, scale)

    return forecast


class TestMask:
    def test_of_each_sample_and_channel_anew_and_of_each_step(self) -> None:
        learner, masks = method(), []
        learner.encoder.patch_embedding.register_forward_hook(lambda module, given, out: masks.append((given[0] == 0).all(-1)))
        for seed in (0, 0, 1):
            learner.loss(batch(series(), seed))
        one, again, other = (m.view(6, 3, 8) for m in masks)
        assert torch.equal(one, again)
        assert not torch.equal(one, other)
        assert len(one.flatten(0, 1).unique(dim=0)) > 9

    def test_is_uniform_over_what_is_known(self) -> None:
        known = torch.ones(2000, 1, 10, dtype=torch.bool)
        known[..., 7:] = False
        share = hide(torch.rand(2000, 1, 10, generator=torch.Generator().manual_seed(0)), known, 0.4).float().mean((0, 1))
        assert not share[7:].any()
        torch.testing.assert_close(share[:7], torch.full((7,), 3 / 7), atol=0.05, rtol=0)

    @pytest.mark.parametrize(("known", "hidden"), [(0, 0), (1, 0), (2, 1), (5, 2), (10, 4), (42, 17)])
    def test_how_many(self, known: int, hidden: int) -> None:
        u = torch.rand(3, 2, 42)
        assert (hide(u, (torch.arange(42) < known).expand(3, 2, 42), 0.4).sum(2) == hidden).all()


def test_losses_of_the_hidden_values() -> None:
    outs: list[Tensor] = []
    learner, x = method(options={"dropout": 0.0}), series()
    learner.head.register_forward_hook(lambda module, given, out: outs.append(out.detach()))
    learner.encoder.patch_embedding.register_forward_hook(lambda module, given, out: outs.append((given[0] == 0).all(-1)))
    mse = learner.loss(batch(x)).loss
    mask, prediction = outs
    target = normalise(x)[0].reshape(6, 24, 8)
    torch.testing.assert_close(mse, (prediction - target).square()[mask].mean())
    learner.kind = "sdsc"
    sdsc = learner.loss(batch(x)).loss
    kept = mask.view(18, 8)
    pairs = zip(prediction.view(18, 8, 8), target.view(18, 8, 8), kept, strict=True)
    slow = torch.stack([sdsc_loss(p[m].flatten(), t[m].flatten()) for p, t, m in pairs]).mean()
    torch.testing.assert_close(sdsc, slow)
    learner.kind = "hybrid"
    torch.testing.assert_close(learner.loss(batch(x)).loss, mse + sdsc)


@pytest.mark.parametrize("options", [{}, {"mix": True}, {"stride": 4}, {"norm": "layer"}, {"pool": "cls"}])
@pytest.mark.parametrize("loss", ["mse", "sdsc", "hybrid"])
def test_learns_from_gappy_series_in_both_precisions(options: dict[str, Any], loss: Any) -> None:
    learns(method(options=options, loss=loss), gappy())


def test_mistakes() -> None:
    with pytest.raises(UserError, match="encoder 'dilated_conv' has none"):
        PatchTST(DilatedConv(FORM))
    with pytest.raises(UserError, match="'mse', 'sdsc' or 'hybrid', not 'mae'"):
        method(loss="mae")
