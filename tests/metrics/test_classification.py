"""Scores of a classifier, judged: values worked out by hand, and scikit-learn's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from torch import nn

from ipse.data import open_data
from ipse.errors import UserError
from ipse.metrics import classification as c

LOG = math.log


def scores_of(probabilities: list[list[float]]) -> torch.Tensor:
    return torch.tensor(probabilities).log()


@pytest.fixture
def random() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(-1, 5, (400,), generator=generator)
    return torch.randn(400, 5, generator=generator) + 1.5 * nn.functional.one_hot(y.clamp_min(0), 5), y


def test_against_scikit_learn(random: tuple[torch.Tensor, torch.Tensor]) -> None:
    s, y = random
    known = y >= 0
    guess = s.argmax(-1)[known]
    assert c.accuracy(s, y) == pytest.approx(sk.accuracy_score(y[known], guess))
    assert c.balanced_accuracy(s, y) == pytest.approx(sk.balanced_accuracy_score(y[known], guess))
    assert c.negative_log_likelihood(s, y) == pytest.approx(sk.log_loss(y[known], s[known].double().softmax(-1)), rel=1e-6)
    assert np.array_equal(c.confusion(s, y), sk.confusion_matrix(y[known], guess, labels=range(5)))


def test_calibration_error_by_hand() -> None:
    s = scores_of([[0.85, 0.15], [0.85, 0.15], [0.45, 0.55], [0.45, 0.55]])
    y = torch.tensor([0, 1, 1, 1])  # half of those at 0.85 are right, and all of those at 0.55
    found = c.reliability(s, y, bins=10)
    assert found.samples.tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 2, 0]
    assert found.accuracy[[5, 8]].tolist() == [1.0, 0.5]
    assert found.confidence[[5, 8]].tolist() == pytest.approx([0.55, 0.85], rel=1e-5)
    assert c.expected_calibration_error(s, y, bins=10) == pytest.approx(0.5 * 0.45 + 0.5 * 0.35, rel=1e-5)


def test_a_classifier_that_is_as_sure_as_it_should_be() -> None:
    s = scores_of([[0.75, 0.25]] * 4)
    assert c.expected_calibration_error(s, torch.tensor([0, 0, 0, 1])) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("factor", [0.2, 1.0, 3.0])
def test_the_temperature_makes_labels_most_likely(random: tuple[torch.Tensor, torch.Tensor], factor: float) -> None:
    s, y = random
    t = c.fit_temperature(factor * s, y)
    assert t == pytest.approx(factor * c.fit_temperature(s, y), rel=1e-6)
    best = c.negative_log_likelihood(factor * s / t, y)
    assert all(c.negative_log_likelihood(factor * s / (t * by), y) >= best for by in (0.5, 0.97, 1.03, 2.0))


def test_the_temperature_of_two_confidences_by_hand() -> None:
    """All scores are log 3 apart and 3 of 4 are right: already calibrated. With log 9, T = 2."""
    y = torch.tensor([0, 0, 0, 1])
    assert c.fit_temperature(torch.tensor([[LOG(3), 0.0]] * 4), y) == pytest.approx(1, rel=1e-5)
    assert c.fit_temperature(torch.tensor([[LOG(9), 0.0]] * 4), y) == pytest.approx(2, rel=1e-5)


def test_the_temperature_has_limits() -> None:
    s = torch.tensor([[2.0, 0.0], [2.0, 0.0]])
    assert 0.01 <= c.fit_temperature(s, torch.tensor([0, 0])) < 0.1  # never wrong
    assert c.fit_temperature(s, torch.tensor([1, 1])) == pytest.approx(100, rel=1e-3)  # never right


@pytest.mark.parametrize("measure", c.MEASURES.values())
def test_no_label_is_a_mistake(measure) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match="none of the 3 samples"):
        measure(torch.zeros(3, 2), torch.full((3,), -1))


def test_scores_of_all_samples_in_their_order(pictures: np.ndarray) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(3 * 16 * 16, 4)).train()
    found = c.scores(model, open_data(pictures[:20]).train, batch_size=7)
    with torch.no_grad():
        expected = model[2](torch.tensor(pictures[:20]).flatten(1) / 127.5 - 1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert model.training
