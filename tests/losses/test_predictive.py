from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.errors import UserError
from ipse.losses import aligned_prediction, future_l1


def scores(windows: int, frames: int, predictions: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    positive = torch.randn(windows, frames, predictions, dtype=torch.float64, generator=generator)
    return positive, torch.randn(windows, predictions, dtype=torch.float64, generator=generator)


def fits(positive: Tensor, negative: Tensor) -> Tensor:
    """S = a - log(e^a + e^b)."""
    return positive - torch.logaddexp(positive, negative[:, None].expand_as(positive))


def paths(frames: int, predictions: int) -> list[list[int]]:
    """Every way to cut the frames into stretches, one per prediction."""
    cuts = itertools.combinations(range(1, frames), predictions - 1)
    return [[sum(k >= c for c in cut) for k in range(frames)] for cut in cuts]


class TestAlignedPrediction:
    @pytest.mark.parametrize(("frames", "predictions"), [(1, 1), (4, 4), (5, 1), (5, 2), (6, 3), (7, 6)])
    @pytest.mark.parametrize("tau", [1.0, 0.3])
    def test_equals_the_sum_over_all_alignments(self, frames: int, predictions: int, tau: float) -> None:
        a, b = scores(3, frames, predictions)
        every = paths(frames, predictions)
        assert len(every) == math.comb(frames - 1, predictions - 1)
        sums = torch.stack([fits(a, b)[:, range(frames), path].sum(1) for path in every])
        expected = -tau * torch.logsumexp(sums / tau, dim=0).mean()
        torch.testing.assert_close(aligned_prediction(a, b, tau), expected)

    def test_as_many_predictions_as_frames_align_one_to_one(self) -> None:
        a, b = scores(3, 4, 4)
        torch.testing.assert_close(aligned_prediction(a, b), -fits(a, b).diagonal(dim1=1, dim2=2).sum(1).mean())

    def test_one_prediction_stands_for_all_frames(self) -> None:
        a, b = scores(3, 4, 1)
        torch.testing.assert_close(aligned_prediction(a, b), -fits(a, b).sum((1, 2)).mean())

    def test_gradient_is_the_posterior_of_the_predictions(self) -> None:
        """Of each frame it sums to 1 over predictions, so to K per window."""
        a, b = scores(3, 6, 3)
        a.requires_grad_()
        # With S = log sigmoid(a - b), dS/da = sigmoid(b - a).
        (gradient,) = torch.autograd.grad(3 * aligned_prediction(a, b), a)
        posterior = -gradient / torch.sigmoid(b[:, None] - a)
        torch.testing.assert_close(posterior.sum(2), torch.ones(3, 6).double())
        assert (posterior >= 0).all()
        assert posterior[:, 0, 0].tolist() == pytest.approx([1, 1, 1])

    def test_low_temperature_takes_the_best_alignment(self) -> None:
        a, b = scores(2, 6, 3)
        best = torch.stack([fits(a, b)[:, range(6), path].sum(1) for path in paths(6, 3)]).amax(0)
        assert aligned_prediction(a, b, 1e-3).item() == pytest.approx(-best.mean().item(), abs=1e-4)

    def test_gradient_by_finite_differences(self) -> None:
        a, b = (x.requires_grad_() for x in scores(2, 5, 3))
        assert torch.autograd.gradcheck(lambda a, b: aligned_prediction(a, b, 0.7), (a, b))

    def test_equals_ctc_with_an_impossible_blank(self) -> None:
        a, b = scores(3, 6, 3)
        s = fits(a, b)
        logits = torch.cat([torch.full((3, 6, 1), -1000.0).double(), s], dim=2).transpose(0, 1)
        norm = logits.logsumexp(2)
        labels, lengths = torch.arange(1, 4).expand(3, -1), torch.tensor([3] * 3)
        loss = F.ctc_loss(logits - norm[..., None], labels, torch.tensor([6] * 3), lengths, reduction="none") - norm.sum(0)
        torch.testing.assert_close(aligned_prediction(a, b), loss.mean())

    def test_extreme_scores_stay_finite(self) -> None:
        a, b = (1e4 * x.float() for x in scores(2, 5, 3))
        a.requires_grad_()
        loss = aligned_prediction(a, b)
        loss.backward()
        assert loss.isfinite()
        assert a.grad is not None
        assert a.grad.isfinite().all()

    def test_more_predictions_than_frames(self) -> None:
        with pytest.raises(UserError, match="at least as many frames as predictions: 3 for 2 frames"):
            aligned_prediction(*scores(1, 2, 3))


class TestFutureL1:
    def test_by_hand(self) -> None:
        x = torch.tensor([[[1.0, 0.0], [2.0, 2.0], [4.0, 4.0], [7.0, 1.0]]])
        y = torch.zeros(1, 4, 2)
        assert future_l1(y, x, 2).item() == (4 + 4 + 7 + 1) / 4

    def test_padding_does_not_count(self) -> None:
        x, y = torch.randn(2, 6, 3), torch.randn(2, 6, 3)
        valid = torch.tensor([[True] * 6, [True, True, True, False, False, False]])
        expected = torch.cat([(y[0, :4] - x[0, 2:]).abs(), (y[1, :1] - x[1, 2:3]).abs()]).mean()
        x[1, 3:] = math.nan
        torch.testing.assert_close(future_l1(y, x, 2, valid), expected)

    def test_the_best_constant_is_the_median(self) -> None:
        """Of each feature, over the frames that are predicted."""
        x = torch.randn(1, 12, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        median = x[0, 3:].median(dim=0).values
        best = future_l1(median.expand(1, 12, -1), x, 3)
        for step in torch.eye(3, dtype=torch.float64):
            for size in (-0.5, -0.01, 0.01, 0.5):
                assert future_l1((median + size * step).expand(1, 12, -1), x, 3) > best

    def test_clips_that_are_too_short_give_nothing(self) -> None:
        y = torch.randn(2, 3, 4, requires_grad=True)
        loss = future_l1(y, torch.randn(2, 3, 4), 5)
        loss.backward()
        assert loss.item() == 0

    def test_no_step(self) -> None:
        with pytest.raises(UserError, match="at least 1 step, given 0"):
            future_l1(torch.zeros(1, 2, 1), torch.zeros(1, 2, 1), 0)
