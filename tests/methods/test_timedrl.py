from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.methods.series import FORM, batch, gappy, learns, series
from torch import Tensor, nn

from ipse.errors import UserError
from ipse.methods.pretrain.timedrl import TimeDRL
from ipse.models.dilated_conv import DilatedConv
from ipse.models.patch_transformer import PatchTransformer
from ipse.models.revin import normalise


def method(options: dict[str, Any] | None = None, **settings: Any) -> TimeDRL:
    torch.manual_seed(0)
    wanted = {"patch": 8, "width": 16, "depth": 1, "heads": 2, **TimeDRL.encoder_options, **(options or {})}
    return TimeDRL(PatchTransformer(FORM, **wanted), **settings).train()


class Same(nn.Module):
    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        return x


class TestCard:
    @pytest.mark.parametrize("mix", [True, False])
    def test_a_without_dropout_both_passes_coincide(self, mix: bool) -> None:
        learner = method({"dropout": 0.0, "mix": mix})
        learner.predictor = Same()
        x = series()
        x[1, 2] = torch.nan
        torch.testing.assert_close(learner.loss(batch(x)).terms["contrastive"], torch.tensor(-1.0))

    def test_b_each_loss_reaches_its_own_output(self) -> None:
        learner, x = method(), series()
        one, two = (learner.encoder.encoded(x) for _ in range(2))
        for e in (one, two):
            e.places.retain_grad()
            e.whole.retain_grad()
        learner.contrastive(one, two).backward(retain_graph=True)
        assert one.places.grad is None
        assert one.whole.grad.abs().sum() > 0
        one.whole.grad = None
        learner.predictive(one.places, learner.encoder.patches(x)).backward()
        assert one.whole.grad is None
        assert one.places.grad.abs().sum() > 0

    @pytest.mark.parametrize("target", ["normalised", "raw"])
    def test_c_a_perfect_autoencoder_has_no_predictive_loss(self, target: Any) -> None:
        learner, x = method(target=target), series()
        wanted = normalise(x)[0] if target == "normalised" else x
        learner.predictive = lambda places, patches: (patches - cut(wanted)).square().sum()
        assert learner.loss(batch(x)).terms["predictive"] == 0
        learner = method()
        learner.head = nn.Identity()
        assert learner.predictive(cut(wanted), cut(wanted)) == 0

    def test_d_the_other_branch_gets_no_gradient(self) -> None:
        for stop in (True, False):
            learner, x = method(stop_gradient=stop), series()
            one, two = (learner.encoder.encoded(x) for _ in range(2))
            learner.predictor = Same()
            (both,) = torch.autograd.grad(learner.contrastive(one, two), one.whole)
            cosine = nn.functional.cosine_similarity(one.whole, two.whole.detach(), dim=-1).mean()
            (half,) = torch.autograd.grad(-cosine / 2, one.whole)
            torch.testing.assert_close(both, half if stop else 2 * half)


def cut(x: Tensor) -> Tensor:
    return x.unflatten(2, (8, 8)).transpose(1, 2).flatten(2)


def test_without_stop_gradient_both_sides_are_one_loss() -> None:
    x = series()
    with_stop, without = method({"dropout": 0.0}), method({"dropout": 0.0}, stop_gradient=False)
    torch.testing.assert_close(with_stop.loss(batch(x)).loss, without.loss(batch(x)).loss)


def test_dropout_tells_the_passes_apart() -> None:
    step = method().loss(batch(series()))
    assert not torch.allclose(*step.z)
    assert torch.equal(*method({"dropout": 0.0}).loss(batch(series())).z)


@pytest.mark.parametrize("instance", ["cls", "last", "gap", "all"])
@pytest.mark.parametrize("mix", [True, False])
def test_the_encoder_gives_the_instance_embedding(instance: Any, mix: bool) -> None:
    learner, x = method({"dropout": 0.0, "mix": mix}, instance=instance), series()
    (h, _) = learner.loss(batch(x)).h
    assert h.shape[1] == learner.encoder.dim
    torch.testing.assert_close(learner.encoder(x), h)
    again = PatchTransformer(FORM, **learner.encoder.options())
    again.load_state_dict(learner.encoder.state_dict())
    torch.testing.assert_close(again.eval()(x), learner.encoder.eval()(x))


def test_an_encoder_that_was_made_without_options() -> None:
    learner = TimeDRL(PatchTransformer(FORM))
    assert learner.encoder.pool == "cls"
    assert learner.loss(batch(series())).loss.isfinite()


@pytest.mark.parametrize("mix", [True, False])
@pytest.mark.parametrize("instance", ["cls", "last", "gap", "all"])
def test_learns_from_gappy_series_in_both_precisions(mix: bool, instance: Any) -> None:
    learns(method({"mix": mix}, instance=instance, target="raw"), gappy())


def test_mistakes() -> None:
    with pytest.raises(UserError, match="encoder 'dilated_conv' has none"):
        TimeDRL(DilatedConv(FORM))
    with pytest.raises(UserError, match="timedrl has instance 'gap', 'cls', 'last', 'all', not 'mean'"):
        method(instance="mean")
    with pytest.raises(UserError, match="'normalised' or 'raw', not 'patches'"):
        method(target="patches")
