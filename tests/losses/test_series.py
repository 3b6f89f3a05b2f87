from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.losses import candidate_contrast, info_nce, instance_contrast, multi_device_contrast, nt_xent


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def cosine(a: Tensor, b: Tensor) -> float:
    return float(a @ b / a.norm() / b.norm())


class TestCandidates:
    def test_equals_the_slow_version(self) -> None:
        anchor, candidates, label = normal(4, 3), normal(4, 5, 3), torch.tensor([0, 4, 2, 2])
        total = 0.0
        for i in range(4):
            exponents = [math.exp(cosine(anchor[i], candidates[i, c]) / 0.3) for c in range(5)]
            total -= math.log(exponents[label[i]] / sum(exponents)) / 4
        assert candidate_contrast(anchor, candidates, label, 0.3).item() == pytest.approx(total, rel=1e-12)

    @pytest.mark.parametrize("temperature", [1e-3, 0.1, 10])
    def test_equal_candidates_cost_the_logarithm_of_their_number(self, temperature: float) -> None:
        candidates = normal(4, 1, 3).float().expand(-1, 20, -1)
        loss = candidate_contrast(normal(4, 3).float(), candidates, torch.arange(4), temperature)
        assert loss.item() == pytest.approx(math.log(20), rel=1e-5)


class TestInstances:
    def test_equals_the_slow_version(self) -> None:
        anchor, positive = normal(4, 3), normal(4, 2, 3)[:, 0]
        total = 0.0
        for i in range(4):
            right = math.exp(cosine(anchor[i], positive[i]) / 0.3)
            wrong = sum(math.exp(cosine(anchor[i], anchor[j]) / 0.3) for j in range(4) if j != i)
            total -= math.log(right / (right + wrong)) / 4
        assert instance_contrast(anchor, positive, 0.3).item() == pytest.approx(total, rel=1e-12)

    def test_equal_embeddings(self) -> None:
        z = torch.ones(7, 3)
        assert instance_contrast(z, z, 0.001).item() == pytest.approx(math.log(7), rel=1e-5)


class TestDevices:
    def test_one_positive_and_one_negative(self) -> None:
        anchor, positive, negative = normal(6, 3), normal(1, 6, 3), normal(2, 6, 3)[1:]
        p, n = F.cosine_similarity(anchor, positive[0]), F.cosine_similarity(anchor, negative[0])
        expected = F.softplus((n - p) / 0.2).mean()
        torch.testing.assert_close(multi_device_contrast(anchor, positive, negative, temperature=0.2), expected)

    def test_weights(self) -> None:
        anchor, positives, negatives = normal(6, 3), normal(2, 6, 3), normal(3, 6, 3)
        w, v = torch.tensor([1.0, 0.5]), torch.tensor([2.0, 0.0, 3.0])
        total = 0.0
        for b in range(6):
            p = sum(w[d].item() * math.exp(cosine(anchor[b], positives[d, b]) / 0.2) for d in range(2))
            n = sum(v[d].item() * math.exp(cosine(anchor[b], negatives[d, b]) / 0.2) for d in range(3))
            total -= math.log(p / (p + n)) / 6
        loss = multi_device_contrast(anchor, positives, negatives, w, v, 0.2)
        assert loss.item() == pytest.approx(total, rel=1e-12)

    def test_a_device_of_weight_zero_changes_nothing(self) -> None:
        anchor, positives, negatives = (z.requires_grad_() for z in (normal(6, 3), normal(2, 6, 3), normal(3, 6, 3)))
        loss = multi_device_contrast(anchor, positives, negatives, torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0, 0.0]))
        torch.testing.assert_close(loss, multi_device_contrast(anchor, positives[:1], negatives[:2]))
        loss.backward()
        assert positives.grad is not None
        assert negatives.grad is not None
        assert not positives.grad[1].any()
        assert not negatives.grad[2].any()
        assert positives.grad[0].all()
        assert negatives.grad[:2].all()

    def test_without_negatives_there_is_nothing_to_learn(self) -> None:
        loss = multi_device_contrast(normal(6, 3), normal(1, 6, 3), normal(1, 6, 3)[:0])
        assert loss.item() == 0

    def test_what_moves_towards_the_positive_lowers_the_loss(self) -> None:
        anchor, positive, negative = normal(6, 3), normal(1, 6, 3), normal(2, 6, 3)[1:]
        before = multi_device_contrast(anchor, positive, negative)
        assert multi_device_contrast(anchor + positive[0], positive, negative) < before


def test_info_nce_of_equal_embeddings_at_any_temperature() -> None:
    z = torch.ones(8, 3)
    for temperature in (0.04, 0.1, 1.0):
        assert info_nce(z, z, temperature).item() == pytest.approx(math.log(8), rel=1e-5)


def test_nt_xent_of_orthonormal_rows_in_three_frames() -> None:
    z = torch.eye(8)
    assert nt_xent(z, z, 0.15).item() == pytest.approx(np.log1p(14 * np.exp(-1 / 0.15)), rel=1e-5)
    a, b = normal(5, 4), normal(5, 2, 4)[:, 0]
    torch.testing.assert_close(nt_xent(a, b, 0.15), nt_xent(b, a, 0.15))
