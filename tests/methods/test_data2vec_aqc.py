"""data2vec-aqc: the checks of its card; that of the targets is in tests/models/test_targets.py."""

from __future__ import annotations

import copy

import pytest
import torch
from tests.methods.speech import batch_for, small

from ipse.losses.wav2vec import sampled_info_nce
from ipse.methods.pretrain.data2vec_aqc import Data2VecAQC


def test_without_contrast_noise_and_regularisers_it_is_data2vec() -> None:
    method = small(Data2VecAQC, student_contrast=0.0, teacher_contrast=0.0, diversity_weight=0.0, penalty=0.0)
    batch = batch_for(method)
    batch.views[1] = batch.views[0]
    x = batch.views[0].x
    encoder, teacher = method.encoder, method.teacher.teacher
    frames, valid = encoder.frames(x)
    hidden = method.hide(batch, valid)
    masked = torch.where(hidden.mask[..., None], method.hidden_frame, frames)
    prediction = method.regressor(encoder.blocks(encoder.positioned(masked, valid), valid))
    layers = teacher.passed(teacher.tokens(x)).perceptrons
    total, count = 0.0, 0
    for b in range(len(x)):
        inside = valid[b]
        y = torch.stack(
            [(f[b, inside] - f[b, inside].mean(0)) / (f[b, inside].var(0, correction=0) + 1e-5).sqrt() for f in layers]
        ).mean(0)
        for t in hidden.mask[b].nonzero()[:, 0].tolist():
            total += float((prediction[b, t] - y[t]).square().sum()) / method.encoder.dim**0.5
            count += 1
    assert float(method.loss(batch).loss) == pytest.approx(total / count, rel=1e-3)


def test_the_teacher_gets_no_gradient_and_gives_the_student_none() -> None:
    method = small(Data2VecAQC)
    method.loss(batch_for(method)).loss.backward()
    assert all(p.grad is None for p in method.teacher.parameters())
    method.zero_grad()
    method.loss(batch_for(method)).terms["teacher contrast"].backward()
    touched = {n for n, p in method.encoder.named_parameters() if p.grad is not None and p.grad.any()}
    assert touched
    assert all(name.startswith(("convolutions", "first_norm")) for name in touched)  # by way of q' alone
    assert method.predictor.weight.grad.any()
    assert method.quantiser.codebook.grad.any()


def test_a_scale_of_one_is_plain_info_nce() -> None:
    c, q = torch.randn(1, 4, 6), torch.randn(1, 4, 6)
    others = torch.tensor([[[1, 2], [0, 2], [0, 1], [1, 2]]])
    same = torch.tensor([[[True, False]] * 4])
    torch.testing.assert_close(sampled_info_nce(c, q, others, 0.1, same, scale=1.0), sampled_info_nce(c, q, others, 0.1))


def test_the_teacher_follows_and_never_trains() -> None:
    method = small(Data2VecAQC, decay=0.5, final_decay=0.9).train()
    assert not any(module.training for module in method.teacher.modules())
    batch = batch_for(method, step=5, steps=10)
    before = copy.deepcopy(method.teacher.teacher.project.weight)
    with torch.no_grad():
        method.encoder.project.weight.add_(1.0)
    method.after_step(batch)
    torch.testing.assert_close(method.teacher.teacher.project.weight, before + 0.1)
