from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from ipse.losses import binary_kl, normalized_distillation, others_cross_entropy, self_target, softened_kl, zipf_labels
from ipse.losses.distillation import others

Y = torch.tensor([0, 3, 1, 1, 2])


def scores(seed: int = 0, classes: int = 4) -> torch.Tensor:
    return 2 * torch.randn(5, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class TestNKD:
    def test_a_sure_teacher_without_the_others_is_cross_entropy(self) -> None:
        sure = 1e3 * F.one_hot(Y, 4).double()
        torch.testing.assert_close(normalized_distillation(scores(), sure, Y, gamma=0), F.cross_entropy(scores(), Y))

    def test_equal_scores_have_no_gradient_among_the_others(self) -> None:
        student = scores().requires_grad_()
        target_alone = torch.autograd.grad(normalized_distillation(student, scores(), Y, gamma=0), student)[0]
        both = torch.autograd.grad(normalized_distillation(student, scores(), Y, gamma=1.5), student)[0]
        torch.testing.assert_close(both, target_alone)

    def test_the_target_score_does_not_move_the_part_of_the_others(self) -> None:
        moved = scores() + 5 * F.one_hot(Y, 4)
        wanted = others(scores(1), Y).softmax(1)
        torch.testing.assert_close(others_cross_entropy(moved, Y, wanted), others_cross_entropy(scores(), Y, wanted))

    @pytest.mark.parametrize("temperature", [1.0, 3.0])
    def test_it_is_the_formula_written_out(self, temperature: float) -> None:
        student, teacher, gamma = scores(), scores(1), 1.5
        total = 0.0
        for s, t, y in zip(student, teacher, Y, strict=True):
            rest = [i for i in range(4) if i != y]
            total -= float(t.softmax(0)[y] * s.softmax(0)[y].log())
            down = sum(math.exp(float(s[i]) / temperature) for i in rest)
            up = sum(math.exp(float(t[i]) / temperature) for i in rest)
            for i in rest:
                share = math.exp(float(t[i]) / temperature) / up
                total -= gamma * temperature**2 * share * math.log(math.exp(float(s[i]) / temperature) / down)
        got = normalized_distillation(student, teacher, Y, gamma, temperature)
        assert got.item() == pytest.approx(total / 5, rel=1e-9)


class TestUSKD:
    def test_zipf_with_the_label_first(self) -> None:
        ranked = torch.tensor([[4.0, 3.0, 2.0, 1.0]])
        expected = torch.tensor([[6.0, 4.0, 3.0]]) / 13
        torch.testing.assert_close(zipf_labels(ranked, ranked, torch.tensor([0])), expected)

    def test_zipf_ranks_the_label_too_before_it_is_left_out(self) -> None:
        ranked = torch.tensor([[4.0, 3.0, 2.0, 1.0]])  # without its third, 1, 1/2, 1/4 remain
        torch.testing.assert_close(zipf_labels(ranked, ranked, torch.tensor([2])), torch.tensor([[4.0, 2.0, 1.0]]) / 7)

    def test_both_heads_decide_the_rank_by_probabilities(self) -> None:
        student, weak = scores(), scores(1)
        w, s = weak.softmax(1), student.softmax(1)
        score = w / (1 - w.gather(1, Y[:, None])) + s / (1 - s.gather(1, Y[:, None]))
        labels = zipf_labels(student, weak, Y)
        torch.testing.assert_close(labels.sum(1), torch.ones(5, dtype=torch.float64))
        assert torch.equal(labels.argsort(1), others(score, Y).argsort(1))
        assert not zipf_labels(student.requires_grad_(), weak, Y).requires_grad

    def test_a_sure_student_ranks_without_dividing_by_zero(self) -> None:
        sure = 1e4 * F.one_hot(Y, 4).float()
        assert zipf_labels(sure, sure, Y).isfinite().all()

    def test_soft_labels_have_a_mean_of_one(self) -> None:
        student = scores().requires_grad_()
        (g,) = torch.autograd.grad(self_target(student, Y), student)
        p = student.detach().softmax(1)
        soft = -5 * g.gather(1, Y[:, None])[:, 0] / (1 - p.gather(1, Y[:, None])[:, 0])
        share = p.gather(1, Y[:, None])[:, 0]
        torch.testing.assert_close(soft, share**2 + 1 - (share**2).mean())
        assert soft.mean().item() == pytest.approx(1)


class TestBinaryKL:
    def test_zero_without_gradient_where_equal(self) -> None:
        student = scores().requires_grad_()
        loss = binary_kl(student, scores())
        assert loss.item() == pytest.approx(0, abs=1e-12)
        torch.testing.assert_close(torch.autograd.grad(loss, student)[0], torch.zeros_like(student))

    @pytest.mark.parametrize(
        ("d", "temperature", "value"), [(2.0, 1.0, 0.43378), (-2.0, 1.0, 0.43378), (4.0, 2.0, 4 * 0.43378)]
    )
    def test_values_by_hand(self, d: float, temperature: float, value: float) -> None:
        student = torch.full((3, 5), d)
        assert binary_kl(student, torch.zeros(3, 5), temperature).item() == pytest.approx(5 * value, rel=1e-4)

    def test_small_and_large_differences(self) -> None:
        one = torch.zeros(1, 1, dtype=torch.float64)
        assert binary_kl(one + 0.01, one).item() == pytest.approx(0.01**2 / 8, rel=1e-4)
        slope = binary_kl(one + 1001, one) - binary_kl(one + 1000, one)
        assert slope.item() == pytest.approx(2 / 2)
        assert binary_kl(one + 1e6, one).isfinite()

    def test_it_is_the_sum_of_kullback_leibler_divergences(self) -> None:
        student, teacher, half = scores(), scores(1), torch.full((5, 4), 0.5, dtype=torch.float64)
        u = ((student - teacher) / 2).sigmoid()
        each = F.kl_div(u.log(), half, reduction="none") + F.kl_div((1 - u).log(), half, reduction="none")
        torch.testing.assert_close(binary_kl(student, teacher), 4 * each.sum() / 5)


class TestSoftenedKL:
    def test_is_zero_for_scores_that_differ_by_a_constant(self) -> None:
        assert softened_kl(scores(), scores() + 3).item() == pytest.approx(0, abs=1e-12)

    def test_temperature_leaves_the_size_of_small_gradients(self) -> None:
        sizes = []
        for temperature in (20.0, 40.0):
            student = scores().requires_grad_()
            softened_kl(student, scores(1), temperature).backward()
            sizes.append(student.grad.norm().item())
        assert sizes[0] == pytest.approx(sizes[1], rel=0.1)

    def test_weights(self) -> None:
        weight = torch.tensor([2.0, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64)
        alone = softened_kl(scores()[:1], scores(1)[:1])
        torch.testing.assert_close(softened_kl(scores(), scores(1), weight=weight), 2 * alone / 5)
