from __future__ import annotations

import torch

from ipse.data import form
from ipse.models.speech import WaveTransformer
from ipse.models.targets import FrameTeacher, averaged_targets, instance_norm

VALID = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])


def test_every_channel_gets_mean_0_and_variance_1_over_time() -> None:
    y = instance_norm(torch.randn(2, 7, 5) * 3 + 1, VALID)
    for clip, inside in zip(y, VALID, strict=True):
        torch.testing.assert_close(clip[inside].mean(0), torch.zeros(5), atol=1e-5, rtol=0)
        torch.testing.assert_close(clip[inside].var(0, correction=0), torch.ones(5), atol=1e-4, rtol=0)
        assert not clip[~inside].any()


def test_padding_and_single_frames_are_nothing() -> None:
    x = torch.full((1, 3, 2), torch.nan)
    x[0, 0] = 5.0
    assert not instance_norm(x, torch.tensor([[True, False, False]])).any()
    assert not instance_norm(x, torch.zeros(1, 3).bool()).any()


def test_the_last_layers_are_averaged_after_they_are_normalised() -> None:
    x = torch.randn(2, 7, 5)
    layers = [x, 2 * x + 1, -x]
    torch.testing.assert_close(averaged_targets(layers, VALID, top=2), torch.zeros_like(x), atol=1e-4, rtol=0)
    torch.testing.assert_close(averaged_targets(layers, VALID), instance_norm(x, VALID) / 3, atol=1e-4, rtol=0)


def test_a_teacher_is_asked_with_the_students_tokens_and_never_trains() -> None:
    student = WaveTransformer(form.audio(8000), conv=8, width=32, depth=3, heads=2, reach=4)
    teacher = FrameTeacher(student, top=2).train()
    assert not any(module.training for module in teacher.modules())
    frames, valid = student.frames(torch.randn(2, 8000))
    targets = teacher(student.positioned(frames, valid), valid)
    assert not targets.requires_grad
    layers = student.passed(student.positioned(frames, valid), valid).perceptrons
    torch.testing.assert_close(targets, averaged_targets([x.detach() for x in layers[1:]], valid))
