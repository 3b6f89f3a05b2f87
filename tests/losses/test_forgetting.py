"""Terms that make a model forget: values by hand, and those of the authors' code on the same tensors.

Of the authors' repositories (ShaofeiShen768/LAF: VUnlearning.py, ayu987/deep-regression-unlearning: unlearn.py), the functions
`extractor_loss_functionnmse`, `extractor_loss_functioncosine` and `attention_diff` were called with what `waves` gives.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ipse.errors import UserError
from ipse.losses.forgetting import (
    attention_difference,
    divergence,
    easy_first,
    feature_alignment,
    likelihood_gap,
    logit_norm,
)


def waves(*shape: int, k: float = 1.0) -> Tensor:
    return torch.sin(torch.arange(1, 1 + math.prod(shape)).double() * k).reshape(*shape)


def test_a_small_logit_norm_means_that_all_classes_are_alike() -> None:
    assert torch.zeros(1, 5).log_softmax(1).exp().tolist() == [pytest.approx([0.2] * 5)]
    for scores in (waves(40, 7), 0.1 * waves(40, 7)):
        e, p = scores.norm(dim=1), scores.softmax(1)
        assert (p.amax(1) <= (2 * e).exp() / 7).all()
        assert (p.amin(1) >= (-2 * e).exp() / 7).all()


def test_the_logit_norm_has_a_gradient_of_one_everywhere_and_none_at_the_origin() -> None:
    scores = torch.tensor([[3.0, 4.0], [3e-3, 4e-3], [0.0, 0.0]], requires_grad=True)
    logit_norm(scores).sum().backward()
    assert scores.grad is not None
    torch.testing.assert_close(scores.grad.norm(dim=1), torch.tensor([1.0, 1.0, 0.0]))


def test_easy_samples_weigh_more() -> None:
    e = torch.tensor([0.0, 2 * math.log(2)])
    torch.testing.assert_close(easy_first(e, 2.0), torch.tensor([4 / 3, 2 / 3]))
    torch.testing.assert_close(easy_first(waves(9), math.inf), torch.ones(9, dtype=torch.float64))
    torch.testing.assert_close(easy_first(torch.full((4,), 3.0)), torch.ones(4))
    assert easy_first(waves(9), 0.1).mean().item() == pytest.approx(1)
    assert not easy_first(waves(9).requires_grad_()).requires_grad
    each, share = waves(9, k=0.3), (-waves(9) / 0.1).softmax(0)
    torch.testing.assert_close((easy_first(waves(9), 0.1) * each).mean(), (share * each).sum())
    with pytest.raises(UserError, match="temperature"):
        easy_first(waves(9), 0.0)


def test_likelihood_gap_is_bounded_and_changes_its_sign_with_the_roles() -> None:
    e, again = waves(4, 3), waves(4, 3, k=0.7)
    far = 1e6 * again
    none = torch.empty(0, 3, dtype=torch.float64)
    assert likelihood_gap(e, e, none, none).item() == 4
    assert likelihood_gap(e, far, none, none).item() == pytest.approx(4 * math.e, rel=1e-6)
    assert likelihood_gap(e, again, far, far).item() == -likelihood_gap(far, far, e, again).item()


def test_likelihood_gap_is_that_of_the_authors() -> None:
    none = torch.empty(0, 3, dtype=torch.float64)
    assert likelihood_gap(waves(4, 3, k=0.7), waves(4, 3), none, none).item() == pytest.approx(8.103609037848825, rel=1e-12)


def test_alignment_begins_at_the_logarithm_of_the_batch() -> None:
    kept, forgotten = waves(4, 3), waves(2, 3, k=1.3)
    value = feature_alignment(kept, kept, forgotten, forgotten)
    assert value.item() == pytest.approx(-4 * math.log(2), rel=1e-6)


def test_alignment_is_that_of_the_authors() -> None:
    value = feature_alignment(waves(4, 3), waves(4, 3, k=0.7), waves(2, 3, k=1.3), waves(2, 3, k=0.4), 5.0)
    assert value.item() == pytest.approx(1.1732991558591401, rel=1e-6)


def test_attention_is_that_of_the_authors_and_has_no_scale() -> None:
    x, y = waves(3, 2, 4, 4), waves(3, 2, 4, 4, k=0.7)
    assert attention_difference([x], [y]).item() == pytest.approx(0.023488265686069692, rel=1e-12)
    torch.testing.assert_close(attention_difference([x, x], [5 * y, x]), attention_difference([x], [y]))
    assert attention_difference([x], [3 * x]).item() == pytest.approx(0, abs=1e-15)


def test_divergence_is_zero_for_equals_and_more_for_others() -> None:
    a, b = waves(4, 3), waves(4, 3, k=0.7)
    assert divergence(a, a + 2).item() == pytest.approx(0, abs=1e-12)
    assert divergence(a, b) > 0
    p, q = a.softmax(1), b.softmax(1)
    assert divergence(a, b).item() == pytest.approx((p * (p / q).log()).sum(1).mean().item())


def test_divergence_is_that_of_the_authors_of_scar() -> None:
    # `distill` of jbonato1/SCAR on these tensors; it adds 1e-4 to logits and to logarithms, which cancels.
    assert divergence(0.5 * waves(4, 3, k=0.7), waves(4, 3)).item() == pytest.approx(0.072117265422795, rel=1e-3)
