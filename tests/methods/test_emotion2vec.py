"""emotion2vec: the checks of its card."""

from __future__ import annotations

import copy

import pytest
import torch
from tests.methods.speech import batch_for, small

from ipse.losses.regression import frame_regression
from ipse.methods.pretrain.emotion2vec import Emotion2Vec
from ipse.models.tokens import mean_of
from ipse.training import Method


def utterance(method: Method, batch: object) -> torch.Tensor:
    return method.loss(batch).terms["utterance"]  # type: ignore[arg-type]


def test_without_the_utterance_it_is_the_loss_of_hidden_frames() -> None:
    method, without = small(Emotion2Vec, masks=2), small(Emotion2Vec, masks=2, alpha=0.0)
    batch = batch_for(method)
    step = without.loss(batch)
    assert set(step.terms) == {"frames"}
    torch.testing.assert_close(step.loss, method.loss(batch).terms["frames"])
    x = batch.views[0].x
    frames, valid = method.encoder.frames(x)
    mask, targets = method.hide(batch, valid), method.targets(frames, valid)
    again = [t.repeat_interleave(2, dim=0) for t in (frames, valid, targets)]
    _, known, positions, there = method.student(again[0], again[1] & ~mask)
    put = method.hidden_frames(batch, valid)
    for b in range(len(put)):
        put[b, positions[b, there[b]]] = known[b, there[b]]
    painted = method.painter(put, again[1])
    square = (painted - again[2])[mask].square().sum(dim=1).mean() / method.encoder.dim**0.5
    torch.testing.assert_close(step.loss, square)


def test_the_utterance_term_knows_no_order() -> None:
    method = small(Emotion2Vec, masks=1)
    batch = batch_for(method)
    before = utterance(method, batch)
    with torch.no_grad():
        method.utterance_tokens.copy_(method.utterance_tokens.flip(0))
    torch.testing.assert_close(utterance(method, batch), before)
    targets, u = torch.randn(1, 6, 4), torch.randn(1, 4)
    shuffled = targets[:, torch.tensor([3, 1, 0, 5, 4, 2])]
    every = torch.ones(1, 6).bool()
    torch.testing.assert_close(frame_regression(u, mean_of(shuffled, every)), frame_regression(u, mean_of(targets, every)))


def test_the_utterance_term_is_nothing_at_the_mean_of_the_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    method = small(Emotion2Vec, masks=2)
    batch = batch_for(method)
    frames, valid = method.encoder.frames(batch.views[0].x)
    mean = mean_of(method.targets(frames, valid), valid).repeat_interleave(2, dim=0)
    student = method.student
    monkeypatch.setattr(method, "student", lambda *given: (mean, *student(*given)[1:]))
    assert float(utterance(method, batch)) == pytest.approx(0.0, abs=1e-9)


def test_the_teacher_gets_no_gradient_and_may_stand_still() -> None:
    method = small(Emotion2Vec, masks=2, decay=1.0, final_decay=1.0)
    batch = batch_for(method)
    before = copy.deepcopy(method.teacher.state_dict())
    method.loss(batch).loss.backward()
    assert all(p.grad is None for p in method.teacher.parameters())
    with torch.no_grad():
        for p in method.encoder.parameters():
            p.add_(1.0)
    method.after_step(batch)
    assert all(torch.equal(value, before[name]) for name, value in method.teacher.state_dict().items())


@pytest.mark.parametrize("encoder", ["wave_transformer", "mel_transformer"])
def test_hidden_frames_do_not_reach_the_student(encoder: str) -> None:
    method = small(Emotion2Vec, encoder, masks=1)
    batch = batch_for(method)
    frames, valid = method.encoder.frames(batch.views[0].x)
    seen = valid & ~method.hide(batch, valid)
    other = torch.where(seen[..., None], frames, torch.randn_like(frames))
    for one, two in zip(method.student(frames, seen), method.student(other, seen), strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize(("utterance", "tokens"), [("chunk", 10), ("token", 1), ("global", 0)])
def test_each_kind_of_utterance(utterance: str, tokens: int) -> None:
    method = small(Emotion2Vec, masks=2, utterance=utterance)
    assert method.utterance_tokens.shape == (tokens, 32)
    assert method.loss(batch_for(method)).loss.isfinite()


def test_sound_is_painted_the_same_however_much_padding_follows() -> None:
    method = small(Emotion2Vec)
    x, valid = torch.randn(1, 9, 32), torch.arange(9)[None] < 6
    torch.testing.assert_close(method.painter(x, valid)[:, :6], method.painter(x[:, :6], valid[:, :6]))
