"""What scikit-learn's ways with few labels make of frozen embeddings."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from ipse.errors import UserError

_MOST = 5000  # rows without a label


def self_training(train_z: Tensor, train_y: Tensor, test_z: Tensor, test_y: Tensor, *, threshold: float = 0.75) -> float:
    """The test accuracy of logistic regression that labels, round by round, what it is surer of than `threshold`.

    `train_z` (N, D) standardised; `train_y` (N,), -1 for no label, of which at most 5,000 take part; `test_z` (M, D), `test_y` (M,).
    scikit-learn's `SelfTrainingClassifier`.

    Yarowsky, ACL 1995
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.semi_supervised import SelfTrainingClassifier

    return _score(
        SelfTrainingClassifier(LogisticRegression(max_iter=300), threshold=threshold), train_z, train_y, test_z, test_y
    )


def label_spreading(train_z: Tensor, train_y: Tensor, test_z: Tensor, test_y: Tensor, *, neighbours: int = 10) -> float:
    """The test accuracy of labels that spread over the graph of nearest neighbours; arguments as in `self_training`.

    scikit-learn's `LabelSpreading`.

    Zhou, Bousquet, Lal, Weston, Schölkopf, NIPS 2003
    """
    from sklearn.semi_supervised import LabelSpreading

    k = min(neighbours, len(train_z) - 1)
    return _score(LabelSpreading(kernel="knn", n_neighbors=k, max_iter=100), train_z, train_y, test_z, test_y)


def _score(model: Any, train_z: Tensor, train_y: Tensor, test_z: Tensor, test_y: Tensor) -> float:
    from threadpoolctl import threadpool_limits

    asked = test_y >= 0
    if len(train_y[train_y >= 0].unique()) < 2 or not asked.any():
        raise UserError("learning from few labels is compared where at least two classes have labels, and the test part too")
    bare = (train_y < 0).nonzero()[:, 0]
    rows = torch.cat([(train_y >= 0).nonzero()[:, 0], bare[:: max(1, -(-len(bare) // _MOST))]])
    mean, scale = train_z.mean(0), train_z.std(0, correction=0).clamp_min(1e-12)
    x, x_test = ((z.double() - mean) / scale for z in (train_z[rows], test_z[asked]))
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        predicted = model.fit(x.numpy(), train_y[rows].numpy()).predict(x_test.numpy())
    return float((predicted == test_y[asked].numpy()).mean())
