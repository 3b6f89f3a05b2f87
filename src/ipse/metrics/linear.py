"""What a linear classifier can read from embeddings."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ipse.errors import UserError
from ipse.metrics.neighbours import labelled

_STRENGTHS = tuple(10.0**power for power in range(-3, 3))
_ROWS = 20_000
_FOLDS = 3


@torch.no_grad()
def linear_probe(train_z: Tensor, train_y: Tensor, test_z: Tensor, test_y: Tensor, seed: int = 0) -> float:
    """The test accuracy of multinomial logistic regression on standardized embeddings.

    The strength C of its L2 penalty, out of 1e-3 .. 1e2, is the one with the best mean accuracy in a stratified 3-fold
    cross-validation on at most 20,000 training rows; the search goes from strong penalties to weak ones and ends when two in
    a row did not improve. The regression is then fitted to all rows. Classes with fewer samples than folds take no part in
    the choice. `seed` draws the rows and the folds.

    `train_z`, `test_z`: (N, D), (M, D); `train_y`, `test_y`: int64 labels, -1 for none, whose rows are left out. Raises
    UserError for fewer than two classes.
    """
    # scikit-learn takes a second to import, and only this needs it.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    train_z, train_y = labelled(train_z, train_y, "the linear probe")
    test_z, test_y = labelled(test_z, test_y, "the linear probe")
    if len(train_y.unique()) < 2:
        raise UserError("the linear probe needs at least two classes, and all labelled training samples have the same label")
    mean, scale = train_z.float().mean(dim=0), train_z.float().std(dim=0, correction=0)
    scale = torch.where(scale > 0, scale, 1.0)
    x, x_test = (((z.float() - mean) / scale).cpu().numpy() for z in (train_z, test_z))
    y, y_test = train_y.cpu().numpy(), test_y.cpu().numpy()
    # The products are small: more threads would spend their time waiting for each other, up to a hundred times as long.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe = LogisticRegression(C=_strength(x, y, seed), max_iter=300).fit(x, y)
    return float((probe.predict(x_test) == y_test).mean())


def _strength(x: NDArray[np.float32], y: NDArray[np.int64], seed: int) -> float:
    """The C with the best cross-validated accuracy, the smaller of equals; 1 where there is nothing to choose by."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    rows = np.random.default_rng(seed).permutation(len(y))[:_ROWS]
    labels, counts = np.unique(y[rows], return_counts=True)
    rows = rows[np.isin(y[rows], labels[counts >= _FOLDS])]
    if len(np.unique(y[rows])) < 2:
        return 1.0
    x, y = x[rows], y[rows]
    folds = list(StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(x, y))
    # Strong penalties first: each solution starts where the last one ended, and the slow weak ones are seldom reached.
    probes = [LogisticRegression(warm_start=True, max_iter=100) for _ in folds]
    scores: list[float] = []
    for strength in _STRENGTHS:
        for probe, (fit, _) in zip(probes, folds, strict=True):
            probe.set_params(C=strength).fit(x[fit], y[fit])
        scores.append(float(np.mean([p.score(x[judge], y[judge]) for p, (_, judge) in zip(probes, folds, strict=True)])))
        if len(scores) > int(np.argmax(scores)) + 2:
            break
    return _STRENGTHS[int(np.argmax(scores))]
