"""What a model still knows of the samples that it was to forget.

`retrained` is a model that learned the same way without them: it never saw them, so that no measure can ask for more.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ipse import randomness
from ipse.data import Samples
from ipse.errors import UserError
from ipse.metrics.embedding import originals
from ipse.models import Classifier, Regressor
from ipse.transforms import viewer

_FOLDS = 5
_ROWS = 4000  # that an attack learns from


@dataclass(frozen=True)
class Seen:
    """What a model makes of N samples: features (N, d), scores (N, K), numbers (N,) or None, and the labels (N,), -1 for none."""

    features: Tensor
    scores: Tensor
    numbers: Tensor | None
    y: Tensor
    loss: Tensor

    @property
    def accuracy(self) -> float:
        """The share of the labelled samples that is named rightly; NaN without any."""
        return _mean((self.scores.argmax(1) == self.y)[self.y >= 0])

    @property
    def error(self) -> float:
        """The mean loss of the labelled samples: cross-entropy, or the absolute error in the unit of the targets; NaN without any."""
        return _mean(self.loss[self.y >= 0])

    @property
    def confidence(self) -> Tensor:
        """What a membership attack looks at, (N, K + 2): the sorted probabilities, the loss and the entropy."""
        p = self.scores.softmax(1)
        return torch.cat([p.sort(descending=True).values, self.loss[:, None], entropy(self.scores)[:, None]], 1)


@torch.no_grad()
def look(model: Classifier, samples: Samples, *, batch_size: int = 512) -> Seen:
    """What a model makes of samples as they are, on the CPU; labels are numbers among its classes. Its mode is left as it was."""
    training = model.training
    model.eval()
    features = [model.features(x).float() for _, x in originals(model.encoder, samples, batch_size)]
    h = torch.cat(features) if features else torch.empty(0, model.encoder.dim)
    seen = said(model, h, torch.from_numpy(samples.y).to(model.head.weight.device))
    model.train(training)
    return seen


@torch.no_grad()
def said(model: Classifier, features: Tensor, y: Tensor) -> Seen:
    """What the head of a model makes of features (N, d)."""
    z = model.head(features.to(model.head.weight))
    known = y.clamp(min=0)
    if isinstance(model, Regressor):
        numbers = model.mean + model.scale * z[:, 0]
        scores = -(numbers[:, None] - model.values).abs() / model.scale
        loss = (numbers - model.values[known]).abs()
    else:
        numbers, scores = None, z
        loss = F.cross_entropy(z, known, reduction="none")
    return Seen(features.cpu(), scores.cpu(), None if numbers is None else numbers.cpu(), y.cpu(), loss.cpu())


def entropy(scores: Tensor) -> Tensor:
    """The entropy of the softmax of scores (N, K), (N,), from 0 to ln K.

    >>> round(entropy(torch.zeros(1, 4)).item(), 4)
    1.3863
    """
    log = scores.log_softmax(1)
    return -(log.exp() * log).sum(1)


def threshold_attack(members: Tensor, others: Tensor) -> tuple[float, float]:
    """How well samples that were learned from are told from others by their loss alone: AUC and balanced accuracy, 0.5 by guessing.

    `members`, `others`: losses (N,), (M,). A small loss speaks for membership, so that an AUC below 0.5 means that members have
    larger losses than others. The threshold of the accuracy, and which side of it members are on, is chosen on one half of the
    samples and judged on the other, both ways.

    Yeom et al., CSF 2018, arXiv:1709.01604

    >>> threshold_attack(torch.zeros(4), torch.ones(4))
    (1.0, 1.0)
    """
    a, b = members.double().numpy(), others.double().numpy()
    if min(len(a), len(b)) < 2:
        return float("nan"), float("nan")
    halves = [(a[i::2], b[i::2]) for i in (0, 1)]
    judged = [_told(*judge, *_threshold(*fit)) for fit, judge in (halves, halves[::-1])]
    return auc(-a, -b), float(np.mean(judged))


def confidence_attack(members: Tensor, others: Tensor, seed: int = 0) -> tuple[float, float]:
    """How well a small classifier tells samples that were learned from apart from others: AUC and balanced accuracy, cross-validated.

    `members`, `others`: what it looks at, (N, D), (M, D). Logistic regression on standardised columns and their squares, in five
    folds, with both kinds weighing the same; of each kind 4,000 at most.

    Shokri et al., S&P 2017, arXiv:1610.05820
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    parts = [_some(x.double().numpy(), seed) for x in (members, others)]
    if min(map(len, parts)) < _FOLDS:
        return float("nan"), float("nan")
    x, y = np.concatenate(parts), np.repeat([1, 0], [len(p) for p in parts])
    x = np.concatenate([x, x**2], axis=1)
    score = np.empty(len(y))
    with threadpool_limits(1):
        for fit, judge in StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(x, y):
            attack = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=500, C=0.1))
            score[judge] = attack.fit(x[fit], y[fit]).decision_function(x[judge])
    return auc(score[y == 1], score[y == 0]), _balanced(-score[y == 1], -score[y == 0], 0.0)


def called_member(members: Tensor, others: Tensor, asked: Tensor, seed: int = 0) -> float:
    """The share of samples that an attack takes for ones that the model learned from.

    The attack is an RBF support vector machine (C = 3) that learned, from the losses (N,) of samples that the model keeps and
    (M,) of others that it never saw, as many of each, what members look like; `asked`: the losses of those to forget.

    Tarun et al., ICML 2023, arXiv:2210.08196

    >>> called_member(torch.linspace(0, 1, 50), torch.linspace(3, 4, 50), torch.tensor([0.5, 3.5]))
    0.5
    """
    from sklearn.svm import SVC
    from threadpoolctl import threadpool_limits

    n = min(len(members), len(others), _ROWS // 2)
    if n < 2 or not len(asked):
        return float("nan")
    parts = [_some(x.double().numpy(), seed, n) for x in (members, others)]
    with threadpool_limits(1):
        attack = SVC(C=3, gamma="auto").fit(np.concatenate(parts)[:, None], np.repeat([1, 0], n))
        return float(attack.predict(asked.double().numpy()[:, None]).mean())


def auc(high: NDArray[np.float64], low: NDArray[np.float64]) -> float:
    """The chance that one of `high` is more than one of `low`, ties counting half."""
    from scipy.stats import rankdata

    rank = rankdata(np.concatenate([high, low]))
    return float((rank[: len(high)].sum() - len(high) * (len(high) + 1) / 2) / (len(high) * len(low)))


@torch.no_grad()
def recovery_map(now: Tensor, before: Tensor, *, bias: bool = False) -> Tensor:
    """The linear map that brings features back to what they were, by least squares: W (d, D), or (d + 1, D) with a bias.

        W = argmin sum_i | f_now(x_i) W - f_before(x_i) |^2

    `now`: (N, d); `before`: (N, D), the original features, or scores. Of many solutions, the shortest. Nothing is trained.

    Jung et al., 2025, arXiv:2507.07754

    >>> torch.allclose(recovery_map(2 * torch.eye(3), torch.eye(3)), torch.eye(3).double() / 2)
    True
    """
    a = _with_bias(now.double()) if bias else now.double()
    weights: Tensor = torch.linalg.pinv(a, rtol=1e-6) @ before.double()
    return weights


@torch.no_grad()
def recovered(now: Tensor, weights: Tensor) -> Tensor:
    """Features (N, d) through the map of `recovery_map`: (N, D) float32."""
    a = now.double()
    return ((_with_bias(a) if len(weights) == a.shape[1] + 1 else a) @ weights).float()


def linear_cka(x: Tensor, y: Tensor) -> float:
    """How alike two representations of the same samples are, from 0 to 1, whatever rotation or scale lies between them.

        CKA = |Y' X|^2 / (|X' X| |Y' Y|)   of centred columns, Frobenius norms

    `x`: (N, d); `y`: (N, D). 0 where one of them is constant.

    Kornblith et al., ICML 2019, arXiv:1905.00414

    >>> round(linear_cka(torch.eye(4), 3 * torch.eye(4).roll(1, 1)), 4)
    1.0
    """
    a, b = (z.double() - z.double().mean(0) for z in (x, y))
    norm = (a.T @ a).norm() * (b.T @ b).norm()
    # What is left of a constant is rounding of its mean.
    tiny = 1e-12 * (1 + x.double().square().sum()) * (1 + y.double().square().sum())
    return float((b.T @ a).square().sum() / norm) if norm > tiny else 0.0


def disagreement(scores: Tensor, others: Tensor) -> float:
    """The share of samples that two models name differently, from scores (N, K)."""
    return _mean(scores.argmax(1) != others.argmax(1))


def js_divergence(scores: Tensor, others: Tensor) -> float:
    """The mean Jensen-Shannon divergence of two models' probabilities, from scores (N, K); from 0 to ln 2.

    >>> round(js_divergence(torch.tensor([[100.0, 0.0]]), torch.tensor([[0.0, 100.0]])), 4)
    0.6931
    """
    p, q = scores.double().softmax(1), others.double().softmax(1)
    middle = ((p + q) / 2).clamp(min=1e-300).log()

    def from_middle(r: Tensor) -> Tensor:
        return (r * (r.clamp(min=1e-300).log() - middle)).sum(1)

    return _mean((from_middle(p) + from_middle(q)) / 2)


def wasserstein(x: Tensor, y: Tensor) -> float:
    """The distance by which numbers (N,) must move on average to become other numbers (M,).

    >>> round(wasserstein(torch.tensor([0.0, 1.0]), torch.tensor([3.0, 2.0])), 4)
    2.0
    """
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(x.double().numpy(), y.double().numpy()))


def relearn_steps(
    model: Classifier,
    learn: Samples,
    forget: Samples,
    goal: float,
    *,
    lr: float = 1e-3,
    batch_size: int = 128,
    epochs: int = 10,
    seed: int = 0,
    judged: int = 500,
) -> int:
    """How many steps of Adam bring the forgotten samples back: until their accuracy is `goal`, or their error where numbers are said.

    learn: all samples, the forgotten ones among them, in batches that depend on the seed alone. Looked at before the first step
    and after every one, on at most `judged` of the forgotten samples; at most 10 epochs. `model` stays as it is.

    Tarun et al., ICML 2023, arXiv:2210.08196
    """
    student = copy.deepcopy(model).requires_grad_(True)
    device = next(student.parameters()).device
    optimizer = torch.optim.Adam(student.parameters(), lr=lr)
    asked = forget.subset(np.linspace(0, len(forget) - 1, min(judged, len(forget))).astype(np.int64))
    eye, size = viewer(model.form), min(batch_size, len(learn))
    most = epochs * max(1, len(learn) // size)

    def back() -> bool:
        seen = look(student, asked)
        return seen.error <= goal if seen.numbers is not None else seen.accuracy >= goal

    with torch.random.fork_rng(devices=[]):
        for step in range(most):
            if back():
                return step
            position = torch.arange(step * size, (step + 1) * size)
            epoch = randomness.key(seed, "relearn", int(position[0]) // len(learn))
            index = randomness.shuffled(position % len(learn), len(learn), epoch)
            raw = {name: value.to(device) for name, value in learn.read(index).items()}
            y = torch.from_numpy(learn.y)[index].to(device)
            torch.manual_seed(randomness.key(seed, "relearn", step))
            student.train(len(index) > 1)
            z = student.head(student.features(eye.original(raw).x))
            loss = (
                F.l1_loss(z[:, 0], (student.values[y] - student.mean) / student.scale)
                if isinstance(student, Regressor)
                else F.cross_entropy(z, y, ignore_index=-1)
            )
            if not loss.isfinite():
                raise UserError("relearning diverges: the model gives no finite scores")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return most


def _with_bias(x: Tensor) -> Tensor:
    return torch.cat([x, torch.ones_like(x[:, :1])], 1)


def _mean(x: Tensor) -> float:
    return float(x.double().mean()) if len(x) else float("nan")


def _some(x: NDArray[np.float64], seed: int, most: int = _ROWS) -> NDArray[np.float64]:
    """At most so many rows, drawn without order."""
    return x[np.random.default_rng(seed).permutation(len(x))[:most]]


def _threshold(members: NDArray[np.float64], others: NDArray[np.float64]) -> tuple[float, bool]:
    """The loss that best separates members from others, and whether members lie below it."""
    every = np.unique(np.concatenate([members, others]))
    # Between two losses that occur, so that a loss which is not among them can lie on either side.
    candidates = np.concatenate([[every[0] - 1], (every[1:] + every[:-1]) / 2, [every[-1] + 1]])
    below = [np.searchsorted(np.sort(x), candidates, side="right") / len(x) for x in (members, others)]
    best = int(np.argmax(np.abs(below[0] - below[1])))
    return float(candidates[best]), bool(below[0][best] >= below[1][best])


def _told(members: NDArray[np.float64], others: NDArray[np.float64], threshold: float, below: bool) -> float:
    """The balanced accuracy of a threshold with members on one side."""
    right = _balanced(members, others, threshold)
    return right if below else 1 - right


def _balanced(members: NDArray[np.float64], others: NDArray[np.float64], threshold: float) -> float:
    """The mean of the shares of members below a threshold and of others above it."""
    return float(((members <= threshold).mean() + (others > threshold).mean()) / 2)
