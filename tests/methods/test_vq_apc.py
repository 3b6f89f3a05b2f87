from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.methods.kinds import ENCODERS, samples
from torch import Tensor

from ipse import models
from ipse.errors import UserError
from ipse.losses.predictive import future_l1
from ipse.methods.pretrain.vq_apc import VQAPC
from ipse.metrics.units import mutual_information
from ipse.training import Batch, Feed
from ipse.transforms import viewer

DATA = samples("audio")


def batch() -> Batch:
    return Feed(DATA, VQAPC.sees, viewer(DATA.form), 8, 0).batch(0)


def method(encoder: str = "mel_gru", **settings: Any) -> VQAPC:
    torch.manual_seed(0)
    return VQAPC(models.create(encoder, DATA.form, **ENCODERS[encoder]), **settings)


def predictions(made: VQAPC, seen: Batch) -> Tensor:
    out: list[Tensor] = []
    hook = made.predictor.register_forward_hook(lambda module, inputs, output: out.append(output))
    made.loss(seen)
    hook.remove()
    return out[0]


def test_what_passes_is_one_entry_of_the_codebook() -> None:
    made = method(entries=8)
    assert made.quantiser is not None
    h = made.encoder.dense(next(iter(batch())))
    codes = made.quantiser(h, torch.rand(*h.shape[:2], 1, 8), made.temperature)
    entries = made.quantiser.codebook[0]
    assert torch.equal(codes.x, entries[codes.indices[..., 0]])
    h = h.detach().requires_grad_()
    u, weight = torch.rand(*h.shape[:2], 1, 8), torch.randn(made.encoder.dim)
    (through,) = torch.autograd.grad((made.quantiser(h, u, 0.5).x @ weight).sum(), h)
    y = torch.softmax((made.quantiser.logits(h) - torch.log(-torch.log(u[:, :, 0].clamp_min(1e-8)))) / 0.5, dim=-1)
    (soft,) = torch.autograd.grad((y @ entries.detach() @ weight).sum(), h)
    torch.testing.assert_close(through, soft, rtol=1e-3, atol=1e-5)


def test_one_entry_leaves_a_constant() -> None:
    made, seen = method(entries=1), batch()
    y = predictions(made, seen)
    assert torch.equal(y, y[:1, :1].expand_as(y))
    frames, valid = made.encoder.frames(next(iter(seen)))
    target = torch.cat([f[5:][v[5:]] for f, v in zip(frames, valid, strict=True)])
    made.predictor.weight.data.zero_()
    made.predictor.bias.data.copy_(target.median(dim=0).values)
    best = made.loss(seen).loss
    torch.testing.assert_close(best, (target - target.median(dim=0).values).abs().mean())
    made.predictor.bias.data.add_(0.05)
    assert made.loss(seen).loss > best


def test_no_prediction_sees_the_future() -> None:
    made, seen = method(), batch()
    before = predictions(made, seen)
    seen.views[0].x = seen.views[0].x.clone()
    seen.views[0].x[:, 3_500:] *= -0.3
    after = predictions(made, seen)
    last = (3_500 - 400) // 160
    torch.testing.assert_close(after[:, : last + 1], before[:, : last + 1])
    assert not torch.allclose(after[:, last + 1 :], before[:, last + 1 :])


def test_what_codes_tell_about_labels() -> None:
    labels = torch.arange(4).repeat(25)
    assert mutual_information(labels + 7, labels) == pytest.approx(2.0)
    assert mutual_information(torch.arange(2).repeat_interleave(50), labels[:100]) == pytest.approx(0.0, abs=0.01)


def test_the_loss_is_of_the_frame_some_steps_ahead() -> None:
    made, seen = method(steps=3), batch()
    frames, valid = made.encoder.frames(next(iter(seen)))
    torch.testing.assert_close(made.loss(seen).loss, future_l1(predictions(made, seen), frames, 3, valid))
    assert made.loss(seen).h[0].shape == (8, made.encoder.dim)


def test_without_a_codebook_it_is_apc() -> None:
    made, seen = method(entries=0), batch()
    h = made.encoder.dense(next(iter(seen)))
    torch.testing.assert_close(predictions(made, seen), made.predictor(h))


def test_many_entries_are_alive_at_the_beginning() -> None:
    assert method(entries=64).loss(batch()).terms["perplexity"] > 32


def test_encoders_that_see_the_future() -> None:
    with pytest.raises(UserError, match="encoder 'mel_transformer' sees both: take mel_gru"):
        method("mel_transformer")
