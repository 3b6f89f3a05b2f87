"""What a model still knows: every attack finds what is there, and nothing where there is nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ipse import models
from ipse.data import Samples, open_data
from ipse.metrics import unlearning as u


def rows(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_features_that_did_not_change_are_recovered_and_empty_ones_say_nothing() -> None:
    kept, asked = rows(100, 6), rows(40, 6, 1)
    w = u.recovery_map(kept, kept)
    torch.testing.assert_close(u.recovered(asked, w), asked, atol=1e-5, rtol=1e-5)
    assert (u.recovered(torch.zeros(40, 6), w) == 0).all()
    turn = torch.linalg.qr(rows(6, 6, 2))[0]
    torch.testing.assert_close(u.recovered(asked @ turn, u.recovery_map(kept @ turn, kept)), asked, atol=1e-4, rtol=1e-4)


def test_a_map_with_a_bias_recovers_a_shift() -> None:
    kept, asked = rows(100, 6), rows(40, 6, 1)
    w = u.recovery_map(kept + 3, kept, bias=True)
    torch.testing.assert_close(u.recovered(asked + 3, w), asked, atol=1e-4, rtol=1e-4)


def test_cka_does_not_see_rotation_and_scale_and_is_zero_of_a_constant() -> None:
    x = rows(50, 4)
    turn = torch.linalg.qr(rows(4, 4, 1))[0]
    assert u.linear_cka(x, 3 * x @ turn) == pytest.approx(1)
    assert u.linear_cka(x, torch.full((50, 4), 0.3)) == 0
    assert u.linear_cka(x, rows(50, 4, 2)) < 0.3


def test_membership_is_found_where_it_shows() -> None:
    members, others = 0.1 * rows(200, 1).abs()[:, 0], 1 + rows(200, 1, 1).abs()[:, 0]
    assert u.threshold_attack(members, others) == (1.0, 1.0)
    auc, accuracy = u.threshold_attack(others, members)
    assert (auc, accuracy) == (0.0, 1.0)
    assert u.called_member(members, others, members[:50]) == 1
    assert u.called_member(members, others, others[:50]) == 0


def test_membership_is_not_found_where_there_is_none() -> None:
    a, b = rows(2000, 5), rows(2000, 5, 1)
    for value in (*u.threshold_attack(a[:, 0], b[:, 0]), *u.confidence_attack(a, b)):
        assert value == pytest.approx(0.5, abs=0.04)


def test_a_small_classifier_finds_what_a_threshold_does_not() -> None:
    a, b = rows(600, 3), rows(600, 3, 1)
    a[:, 1] *= 4
    auc, accuracy = u.confidence_attack(a, b)
    assert auc > 0.75
    assert accuracy > 0.7
    assert u.threshold_attack(a[:, 0], b[:, 0])[0] == pytest.approx(0.5, abs=0.06)


def test_too_few_samples_say_nothing() -> None:
    assert all(map(math.isnan, u.threshold_attack(torch.ones(1), torch.ones(3))))
    assert all(map(math.isnan, u.confidence_attack(torch.ones(3, 2), torch.ones(9, 2))))


def test_distances_between_models() -> None:
    s = rows(30, 4)
    assert u.disagreement(s, s + 1) == 0
    assert u.js_divergence(s, s) == pytest.approx(0, abs=1e-12)
    assert u.disagreement(torch.eye(3), torch.eye(3).roll(1, 0)) == 1
    x = s[:, 0]
    assert u.wasserstein(x, x.flip(0)) == 0
    assert u.wasserstein(x, x + 2.5) == pytest.approx(2.5, rel=1e-5)


@pytest.fixture(scope="module")
def taught() -> tuple[models.Classifier, Samples]:
    """A classifier of two classes of bright and dark pictures that has learned them."""
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    x = (rng.integers(0, 100, (80, 1, 8, 8)) + 150 * y[:, None, None, None]).astype(np.uint8)
    samples = open_data((x, y)).train
    torch.manual_seed(0)
    model = models.Classifier(models.create("small_conv", samples.form, widths=(8, 16), grid=8), ("0", "1"))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(20):
        loss = torch.nn.functional.cross_entropy(model(torch.from_numpy(x) / 127.5 - 1), torch.from_numpy(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval(), samples


def test_what_is_known_is_back_at_once_and_what_is_not_takes_steps(taught: tuple[models.Classifier, Samples]) -> None:
    model, samples = taught
    few = samples.subset(np.arange(0, 80, 2))
    assert u.look(model, few).accuracy > 0.95
    assert u.relearn_steps(model, samples, few, 0.95) == 0
    wrong = u.look(model, few)
    with torch.no_grad():
        model.head.weight.neg_()
        model.head.bias.neg_()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    steps = u.relearn_steps(model, samples, few, 0.95, lr=1e-2, batch_size=20)
    assert 1 <= steps <= 40
    assert steps == u.relearn_steps(model, samples, few, 0.95, lr=1e-2, batch_size=20)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert u.look(model, few).accuracy < 0.1
    assert wrong.confidence.shape == (40, 4)
    with torch.no_grad():
        model.head.weight.neg_()
        model.head.bias.neg_()


def test_looking_leaves_everything_as_it_was(taught: tuple[models.Classifier, Samples]) -> None:
    model, samples = taught
    model.train()
    before = torch.random.get_rng_state()
    seen = u.look(model, samples, batch_size=7)
    assert model.training
    assert torch.equal(before, torch.random.get_rng_state())
    model.eval()
    x = torch.from_numpy(samples.read(np.arange(80))["x"].numpy()) / 127.5 - 1
    torch.testing.assert_close(seen.scores, model(x).detach(), atol=1e-5, rtol=1e-5)
    assert seen.accuracy == pytest.approx(float((seen.scores.argmax(1) == torch.from_numpy(samples.y)).double().mean()))


def test_entropy_of_zero_scores_is_that_of_the_number_of_classes() -> None:
    assert u.entropy(torch.zeros(2, 7)).tolist() == pytest.approx([math.log(7)] * 2)
