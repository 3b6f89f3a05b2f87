from __future__ import annotations

import pytest
import torch
from torch import nn

from ipse.models import EMA, BatchNorm, frozen_copy
from ipse.models.ema import risen


def student(value: float) -> nn.Module:
    net = nn.Sequential(nn.Linear(2, 1), BatchNorm(1))
    for p in net.parameters():
        nn.init.constant_(p, value)
    return net


class TestFrozenCopy:
    def test_it_is_a_copy_without_gradients(self):
        net = student(1.0)
        copy = frozen_copy(net)
        nn.init.zeros_(net[0].weight)
        assert copy[0].weight.tolist() == [[1.0, 1.0]]
        assert not any(p.requires_grad for p in copy.parameters())
        assert all(p.requires_grad for p in net.parameters())


class TestEMA:
    @pytest.mark.parametrize(("decay", "expected"), [(0.9, [1.1, 1.19, 1.271]), (0.0, [2.0, 2.0, 2.0]), (1.0, [1.0, 1.0, 1.0])])
    def test_it_follows_by_the_equation(self, decay, expected):
        """t <- decay t + (1 - decay) s with t = 1 at the start and s = 2."""
        teacher = EMA(student(1.0))
        for value in expected:
            teacher.update(student(2.0), decay)
            for p in teacher.parameters():
                torch.testing.assert_close(p, torch.full_like(p, value))

    def test_the_student_stays_as_it_is(self):
        net = student(2.0)
        EMA(net).update(net, 0.5)
        assert all(bool((p == 2).all()) for p in net.parameters())

    def test_what_the_student_does_not_learn_is_not_followed(self):
        net = student(1.0)
        teacher = EMA(net)
        for p in net.parameters():
            nn.init.constant_(p, 2.0)
        net[0].weight.requires_grad_(False)
        teacher.update(net, 0.5)
        assert teacher.teacher[0].weight.tolist() == [[1.0, 1.0]]
        assert teacher.teacher[0].bias.tolist() == [1.5]

    def test_another_architecture_is_refused(self):
        with pytest.raises(ValueError, match="zip"):
            EMA(student(1.0)).update(nn.Linear(2, 1), 0.9)

    def test_it_has_no_gradients_and_passes_none(self):
        teacher, x = EMA(student(1.0)), torch.randn(4, 2, requires_grad=True)
        assert not teacher(x).requires_grad
        assert not any(p.requires_grad for p in teacher.parameters())

    def test_it_normalises_in_the_mode_it_is_in_with_statistics_of_its_own(self):
        net = student(1.0)
        holder = nn.ModuleDict({"student": net, "teacher": EMA(net)})
        x = torch.tensor([[1.0, 0.0], [3.0, 0.0]])
        holder.train()
        torch.testing.assert_close(holder["teacher"](x).flatten(), torch.tensor([0.0, 2.0]), atol=1e-3, rtol=0)
        assert float(holder["teacher"].teacher[1].running_mean) == pytest.approx(
            0.1 * 3
        )  # outputs of the linear layer: 2 and 4
        assert float(net[1].running_mean) == 0
        holder.eval()
        torch.testing.assert_close(holder["teacher"](x), holder["teacher"](x))
        assert float(holder["teacher"].teacher[1].running_mean) == pytest.approx(0.3)

    def test_it_is_kept_with_the_state(self):
        teacher, other = EMA(student(1.0)), EMA(student(5.0))
        other.load_state_dict(teacher.state_dict())
        assert all(bool((p == 1).all()) for p in other.parameters())

    def test_at_the_end_the_student_may_take_over_what_it_was(self):
        net, teacher = student(2.0), EMA(student(1.0))
        teacher.hand_over(net)
        assert all(bool((p == 1).all()) and p.requires_grad for p in net.parameters())


def test_a_decay_rises_in_a_straight_line():
    assert [risen(0.5, 0.9, p) for p in (0.0, 0.5, 1.0, 3.0)] == pytest.approx([0.5, 0.7, 0.9, 0.9])
