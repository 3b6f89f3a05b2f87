"""The T-similarity of heads."""

from __future__ import annotations

import pytest
import torch

from ipse.errors import UserError
from ipse.losses import classwise_t_similarity, t_similarity

SURE = 1e4


def one_hot(*classes: int, k: int = 4) -> torch.Tensor:
    """Heads that are sure of these classes: (M, 1, k)."""
    return SURE * torch.eye(k)[list(classes)][:, None]


def test_one_where_all_are_sure_of_the_same_and_nothing_where_two_differ() -> None:
    assert t_similarity(one_hot(2, 2, 2, 2, 2)) == 1
    assert t_similarity(one_hot(0, 1)) == 0
    assert t_similarity(one_hot(0, 1, 1)) == pytest.approx(1 / 3)


def test_undecided_heads_give_one_in_k() -> None:
    torch.testing.assert_close(t_similarity(torch.zeros(5, 3, 4)), torch.full((3,), 0.25))


def test_classes_add_up_and_the_order_of_heads_does_not_matter() -> None:
    scores = torch.randn(5, 6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(classwise_t_similarity(scores).sum(1), t_similarity(scores))
    torch.testing.assert_close(t_similarity(scores[[3, 0, 4, 2, 1]]), t_similarity(scores))


def test_it_is_the_mean_over_pairs() -> None:
    scores = torch.randn(4, 6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    p = scores.softmax(-1)
    pairs = [(p[i] * p[j]).sum(-1) for i in range(4) for j in range(4) if i != j]
    torch.testing.assert_close(t_similarity(scores), torch.stack(pairs).mean(0))


def test_one_head_has_nobody_to_agree_with() -> None:
    with pytest.raises(UserError, match="at least 2, given 1"):
        t_similarity(torch.zeros(1, 3, 4))
