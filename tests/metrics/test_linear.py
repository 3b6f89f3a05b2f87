from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ipse.errors import UserError
from ipse.metrics import linear_probe


def digits() -> tuple[torch.Tensor, ...]:
    x, y = load_digits(return_X_y=True)
    z, labels = torch.tensor(x).float(), torch.tensor(y).long()
    return z[:600], labels[:600], z[1200:], labels[1200:]


def test_reaches_what_scikit_learn_reaches() -> None:
    train_z, train_y, test_z, test_y = (part.numpy() for part in digits())
    reference = make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=np.logspace(-3, 2, 6).tolist(), cv=3, max_iter=300))
    expected = reference.fit(train_z, train_y).score(test_z, test_y)
    assert linear_probe(*digits()) == pytest.approx(expected, abs=0.015)


def test_same_seed_same_number_and_scale_and_shift_change_nothing() -> None:
    train_z, train_y, test_z, test_y = digits()
    first = linear_probe(train_z[:200], train_y[:200], test_z, test_y, seed=3)
    assert linear_probe(train_z[:200], train_y[:200], test_z, test_y, seed=3) == first
    assert linear_probe(8 * train_z[:200] + 4, train_y[:200], 8 * test_z + 4, test_y, seed=3) == pytest.approx(first, abs=0.01)


def test_rare_classes_are_learned_but_do_not_choose() -> None:
    z = torch.cat([torch.eye(3).repeat(20, 1), torch.full((1, 3), -5.0)])
    y = torch.cat([torch.arange(3).repeat(20), torch.tensor([9])])
    assert linear_probe(z, y, z, y) >= 60 / 61
    assert linear_probe(z[[0, 1]], y[[0, 1]], z[[0, 1]], y[[0, 1]]) == 1  # nothing to choose by


def test_samples_without_labels_are_left_out() -> None:
    z = torch.cat([torch.eye(2).repeat(20, 1), torch.randn(10, 2)])
    y = torch.cat([torch.arange(2).repeat(20), torch.full((10,), -1)])
    assert linear_probe(z, y, z, y) == 1


def test_mistakes() -> None:
    z = torch.randn(6, 2)
    with pytest.raises(UserError, match="at least two classes"):
        linear_probe(z, torch.zeros(6, dtype=torch.int64), z, torch.zeros(6, dtype=torch.int64))
    with pytest.raises(UserError, match="the linear probe needs labels"):
        linear_probe(z, torch.full((6,), -1), z, torch.zeros(6, dtype=torch.int64))
