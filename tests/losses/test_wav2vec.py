from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.losses import frame_contrast, same_utterance, sampled_info_nce
from ipse.losses.wav2vec import _equal
from ipse.models.spans import other_positions


def cos(x: Tensor, y: Tensor) -> float:
    return F.cosine_similarity(x, y, dim=0).item()


@pytest.fixture
def frames() -> tuple[Tensor, Tensor, Tensor]:
    """Anchors and targets of 2 utterances of 5 frames, and 4 negatives of each."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 2, 5, 3, dtype=torch.float64, generator=generator)
    return x[0], x[1], other_positions(torch.rand(2, 5, 4, generator=generator), torch.tensor([5, 5]))


class TestSampledInfoNCE:
    def test_equals_the_slow_version(self, frames: tuple[Tensor, Tensor, Tensor]) -> None:
        anchors, targets, negatives = frames
        weak = torch.rand(2, 5, 4, generator=torch.Generator().manual_seed(1)) < 0.5
        valid = torch.tensor([[True] * 5, [True, True, True, False, False]])
        targets[0, 3] = targets[0, 1]  # a negative that equals the positive
        losses = []
        for b in range(2):
            for t in range(5):
                total = positive = math.exp(cos(anchors[b, t], targets[b, t]) / 0.2)
                for k, n in enumerate(negatives[b, t]):
                    if not torch.equal(targets[b, n], targets[b, t]):
                        scale = 0.3 if weak[b, t, k] else 1.0
                        total += math.exp(scale * cos(anchors[b, t], targets[b, n]) / 0.2)
                if valid[b, t]:
                    losses.append(-math.log(positive / total))
        loss = sampled_info_nce(anchors, targets, negatives, 0.2, weak, valid=valid)
        assert loss.item() == pytest.approx(sum(losses) / 8, rel=1e-12)

    def test_a_scale_of_1_is_no_scale(self, frames: tuple[Tensor, Tensor, Tensor]) -> None:
        every = torch.ones(2, 5, 4).bool()
        torch.testing.assert_close(sampled_info_nce(*frames, same_cluster=every, scale=1.0), sampled_info_nce(*frames))

    def test_all_negatives_in_the_cluster_of_the_positive_and_silenced(self, frames: tuple[Tensor, Tensor, Tensor]) -> None:
        anchors, targets, negatives = frames
        loss = sampled_info_nce(anchors, targets, negatives, 0.1, torch.ones(2, 5, 4).bool(), scale=0.0)
        cosine = F.cosine_similarity(anchors, targets, dim=-1)
        torch.testing.assert_close(loss, torch.log(1 + 4 * torch.exp(-10 * cosine)).mean())

    def test_scaling_needs_no_duplicates_and_weakens_positive_cosines_only(self) -> None:
        targets = torch.tensor([[[1.0, 0.0], [0.8, 0.6], [-0.8, 0.6]]])
        for negative, sign in ((1, -1), (2, 1)):
            index = torch.tensor([[[negative]] * 3])
            weak = torch.ones(1, 3, 1).bool()
            valid = torch.tensor([[True, False, False]])
            change = sampled_info_nce(targets, targets, index, 1.0, weak, valid=valid)
            change = change - sampled_info_nce(targets, targets, index, 1.0, valid=valid)
            assert change.sign() == sign

    def test_a_negative_that_equals_the_positive_has_no_probability(self, frames: tuple[Tensor, Tensor, Tensor]) -> None:
        anchors, _, negatives = frames
        same = torch.ones(2, 5, 3, dtype=torch.float64)
        anchors.requires_grad_()
        loss = sampled_info_nce(anchors, same, negatives)
        loss.backward()
        assert loss.item() == pytest.approx(0, abs=1e-12)
        assert anchors.grad is not None
        assert anchors.grad.abs().max() < 1e-12

    def test_identical_views_give_identical_terms(self, frames: tuple[Tensor, Tensor, Tensor]) -> None:
        anchors, targets, negatives = frames
        torch.testing.assert_close(
            sampled_info_nce(anchors.clone(), targets, negatives), sampled_info_nce(anchors, targets.clone(), negatives)
        )

    @pytest.mark.parametrize("scale", [1.0, 0.3])
    def test_gradient(self, frames: tuple[Tensor, Tensor, Tensor], scale: float) -> None:
        anchors, targets, negatives = frames
        weak = torch.rand(2, 5, 4) < 0.5

        def loss(a: Tensor, q: Tensor) -> Tensor:
            return sampled_info_nce(a, q, negatives, 0.5, weak, scale)

        assert torch.autograd.gradcheck(loss, (anchors.requires_grad_(), targets.requires_grad_()))

    def test_equal_rows_are_found(self) -> None:
        x = torch.randn(3, 6, 4)
        x[0, 2] = x[0, 5]
        x[1, 0] = x[2, 0]  # of another utterance
        expected = torch.eye(6).bool().repeat(3, 1, 1)
        expected[0, 2, 5] = expected[0, 5, 2] = True
        assert torch.equal(_equal(x), expected)


class TestFrameContrast:
    def test_equals_the_slow_version(self, frames: tuple[Tensor, Tensor, Tensor]) -> None:
        y1, y2, negatives = frames
        valid = torch.tensor([[True, False, True, True, True], [False, True, True, False, False]])
        losses = []
        for own, other in ((y1, y2), (y2, y1)):
            for b in range(2):
                for t in range(5):
                    positive = math.exp(cos(own[b, t], other[b, t]) / 0.2)
                    rest = sum(math.exp(cos(own[b, t], own[b, n]) / 0.2) for n in negatives[b, t])
                    if valid[b, t]:
                        losses.append(-math.log(positive / (positive + rest)))
        assert frame_contrast(y1, y2, valid, negatives, 0.2).item() == pytest.approx(sum(losses) / 12, rel=1e-12)

    def test_identical_views(self) -> None:
        """The cosine to the positive is 1, those to the orthogonal negatives 0."""
        y = torch.eye(4)[None]
        negatives = other_positions(torch.rand(1, 4, 3), torch.tensor([4]))
        loss = frame_contrast(y, 3 * y, torch.ones(1, 4).bool(), negatives)
        assert loss.item() == pytest.approx(math.log(1 + 3 * math.exp(-10)), abs=1e-6)

    def test_a_frame_is_no_negative_of_itself(self) -> None:
        y = torch.randn(1, 1, 4, requires_grad=True)
        loss = frame_contrast(y, y.detach(), torch.ones(1, 1).bool(), torch.zeros(1, 1, 2).long())
        loss.backward()
        assert loss.item() == 0
        assert y.grad is not None
        assert y.grad.isfinite().all()

    def test_order_of_views_does_not_matter(self, frames: tuple[Tensor, Tensor, Tensor]) -> None:
        y1, y2, negatives = frames
        valid = torch.ones(2, 5).bool()
        torch.testing.assert_close(frame_contrast(y1, y2, valid, negatives), frame_contrast(y2, y1, valid, negatives))

    def test_gradient(self, frames: tuple[Tensor, Tensor, Tensor]) -> None:
        y1, y2, negatives = frames
        valid = torch.tensor([[True, False, True, True, True], [False, True, True, False, False]])
        inputs = (y1.requires_grad_(), y2.requires_grad_())
        assert torch.autograd.gradcheck(lambda a, b: frame_contrast(a, b, valid, negatives, 0.5), inputs)


class TestSameUtterance:
    def test_equals_the_slow_version(self) -> None:
        generator = torch.Generator().manual_seed(0)
        anchors, targets = torch.randn(2, 6, 3, dtype=torch.float64, generator=generator)
        index = torch.randint(6, (6, 4), generator=generator)
        utterance = torch.arange(6) // 3
        own = utterance[index] == utterance[:, None]
        losses = []
        for i in range(6):
            for j, same in [(i, True), *zip(index[i].tolist(), own[i].tolist(), strict=True)]:
                p = 1 / (1 + math.exp(-cos(anchors[i], targets[j]) / 0.2))
                losses.append(-math.log(p if same else 1 - p))
        loss = same_utterance(anchors, targets, index, own, 0.2)
        assert loss.item() == pytest.approx(sum(losses) / len(losses), rel=1e-12)

    def test_orthogonal_frames_give_log_2(self) -> None:
        x = torch.eye(8)
        loss = same_utterance(x[:4], x[4:], torch.randint(4, (4, 9)), torch.rand(4, 9) < 0.3)
        assert loss.item() == pytest.approx(math.log(2))

    def test_share_of_the_own_utterance(self) -> None:
        """With B utterances of equal length and 100 instances about (1 + 100 / B) / 101 of them, the anchor's target included."""
        count, frames = 8, 100
        u = torch.rand(1, count * frames, 100, generator=torch.Generator().manual_seed(0))
        index = other_positions(u, torch.tensor([count * frames]))[0]
        utterance = torch.arange(count * frames) // frames
        own = utterance[index] == utterance[:, None]
        assert (1 + own.sum(1)).double().mean().item() / 101 == pytest.approx((1 + 100 / 8) / 101, rel=0.02)

    def test_gradient(self) -> None:
        x = [torch.randn(4, 3, dtype=torch.float64, requires_grad=True) for _ in range(2)]
        index, own = torch.randint(4, (4, 5)), torch.rand(4, 5) < 0.5
        assert torch.autograd.gradcheck(lambda a, q: same_utterance(a, q, index, own, 0.5), x)
