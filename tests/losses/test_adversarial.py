from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from ipse.losses.adversarial import (
    least_squares_discriminator,
    least_squares_generator,
    logistic_discriminator,
    logistic_generator,
    relativistic_discriminator,
    relativistic_generator,
)

REAL, FAKE = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 2.0])


@pytest.mark.parametrize("score", [0.0, -4.0, 11.0])
def test_a_constant_discriminator_costs_both_players_one(score: float) -> None:
    constant = torch.full((4, 1, 3, 3), score)
    assert relativistic_discriminator(constant, constant).item() == 1
    assert relativistic_generator(constant, constant).item() == 1


def test_relativistic_by_hand() -> None:
    # real - mean(fake) - 1 = -1, 1; fake - mean(real) = -2, 0
    assert relativistic_discriminator(REAL, FAKE).item() == 1 + 2
    # fake - mean(real) - 1 = -3, -1; real - mean(fake) = 0, 2
    assert relativistic_generator(REAL, FAKE).item() == 5 + 2


def test_least_squares_by_hand() -> None:
    assert least_squares_discriminator(REAL, FAKE).item() == 2 + 2
    assert least_squares_generator(FAKE).item() == 1


def test_logistic_is_binary_cross_entropy() -> None:
    bce = F.binary_cross_entropy_with_logits
    expected = bce(REAL, torch.ones(2)) + bce(FAKE, torch.zeros(2))
    assert logistic_discriminator(REAL, FAKE).item() == pytest.approx(expected.item())
    assert logistic_generator(FAKE).item() == pytest.approx(bce(FAKE, torch.ones(2)).item())
    assert logistic_generator(torch.tensor([-1e4])).item() == pytest.approx(1e4)
    assert math.isfinite(logistic_discriminator(REAL.bfloat16(), FAKE.bfloat16()).item())


def test_equal_deepinvs_least_squares() -> None:
    deepinv = pytest.importorskip("deepinv")
    peer = deepinv.loss.adversarial.DiscriminatorMetric()
    theirs = peer(REAL, True) + peer(FAKE, False)
    assert least_squares_discriminator(REAL, FAKE).item() == pytest.approx(float(theirs))
