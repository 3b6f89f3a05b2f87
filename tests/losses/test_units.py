from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.losses import codeword_cross_entropy, diversity


@pytest.fixture
def batch() -> dict[str, Tensor]:
    """3 clips of 6 frames, 5 units; some frames without a label, some hidden."""
    generator = torch.Generator().manual_seed(0)
    return {
        "prediction": torch.randn(3, 6, 4, dtype=torch.float64, generator=generator),
        "codewords": torch.randn(5, 4, dtype=torch.float64, generator=generator),
        "labels": torch.randint(-1, 5, (3, 6), generator=generator),
        "mask": torch.rand(3, 6, generator=generator) < 0.5,
    }


class TestCodewordCrossEntropy:
    def test_equals_the_slow_version(self, batch: dict[str, Tensor]) -> None:
        losses = []
        for b in range(3):
            for t in range(6):
                if batch["mask"][b, t] and batch["labels"][b, t] >= 0:
                    cosine = F.cosine_similarity(batch["prediction"][b, t][None], batch["codewords"])
                    losses.append(-torch.log_softmax(cosine / 0.2, 0)[batch["labels"][b, t]].item())
        assert 3 < len(losses) < 18
        assert codeword_cross_entropy(**batch, temperature=0.2).item() == pytest.approx(sum(losses) / len(losses))

    def test_equal_cosines_give_the_logarithm_of_the_number_of_units(self, batch: dict[str, Tensor]) -> None:
        batch["codewords"] = batch["codewords"][:1].expand(5, -1)
        assert codeword_cross_entropy(**batch).item() == pytest.approx(math.log(5))

    def test_frames_in_sight_do_not_count_whatever_they_hold(self, batch: dict[str, Tensor]) -> None:
        expected = codeword_cross_entropy(**batch)
        batch["labels"] = torch.where(batch["mask"], batch["labels"], batch["labels"].flip(0))
        batch["prediction"] = batch["prediction"].masked_fill(~batch["mask"][..., None], math.nan).requires_grad_()
        loss = codeword_cross_entropy(**batch)
        torch.testing.assert_close(loss, expected)
        loss.backward()
        gradient = batch["prediction"].grad
        assert gradient is not None
        assert not gradient[~batch["mask"]].any()

    def test_scale_of_predictions_and_codewords_does_not_matter(self, batch: dict[str, Tensor]) -> None:
        expected = codeword_cross_entropy(**batch)
        batch["prediction"], batch["codewords"] = 7 * batch["prediction"], 0.1 * batch["codewords"]
        torch.testing.assert_close(codeword_cross_entropy(**batch), expected)

    def test_gradient(self, batch: dict[str, Tensor]) -> None:
        def loss(prediction: Tensor, codewords: Tensor) -> Tensor:
            return codeword_cross_entropy(prediction, codewords, batch["labels"], batch["mask"])

        assert torch.autograd.gradcheck(loss, (batch["prediction"].requires_grad_(), batch["codewords"].requires_grad_()))

    def test_nothing_hidden(self, batch: dict[str, Tensor]) -> None:
        batch["mask"] = torch.zeros_like(batch["mask"])
        batch["codewords"].requires_grad_()
        loss = codeword_cross_entropy(**batch)
        loss.backward()
        assert loss.item() == 0
        assert not batch["codewords"].grad.any()


class TestDiversity:
    def test_by_hand(self) -> None:
        """Two groups of 4 entries: one uses all of them, one half of them."""
        p = torch.tensor([[0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0.0, 0.0]]).expand(3, 7, -1, -1)
        assert diversity(p).item() == pytest.approx((8 - 4 - 2) / 8, rel=1e-4)

    def test_uncertain_frames_are_as_diverse_as_different_ones(self) -> None:
        sure = torch.eye(4)[torch.arange(8) % 4][:, None]
        torch.testing.assert_close(diversity(sure), diversity(torch.full((8, 1, 4), 0.25)))
        assert diversity(sure).item() == pytest.approx(0, abs=1e-5)
        assert diversity(torch.eye(4)[torch.zeros(8).long()][:, None]).item() == pytest.approx(3 / 4, rel=1e-5)

    def test_padding_does_not_count(self) -> None:
        p = torch.rand(2, 5, 2, 3).softmax(-1)
        valid = torch.tensor([[True] * 5, [True, True, False, False, False]])
        expected = diversity(torch.cat([p[0], p[1, :2]]))
        p[1, 2:] = math.nan
        torch.testing.assert_close(diversity(p, valid), expected)

    def test_descent_revives_unused_entries(self) -> None:
        logits = torch.tensor([[[4.0, 0.0, -4.0]]], requires_grad=True)
        diversity(logits.softmax(-1)).backward()
        gradient = logits.grad
        assert gradient is not None
        assert gradient.isfinite().all()
        assert gradient[0, 0, 0] > 0 > gradient[0, 0, 1]
