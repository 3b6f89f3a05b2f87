"""What the scores of a classifier are worth: how often it is right, and whether it is as sure as it should be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ipse.data import Samples
from ipse.errors import UserError
from ipse.metrics.segmentation import mean_iou
from ipse.transforms import viewer
from ipse.transforms.places import shown, squeezed

BINS = 15


@torch.no_grad()
def scores(model: nn.Module, samples: Samples, *, batch_size: int = 512) -> Tensor:
    """What a classifier makes of every sample, seen whole: (N, K) float32 on the CPU. The model's mode is left as it was."""
    training = model.training
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    model.eval()
    eye = viewer(samples.form)
    parts = []
    for index in torch.arange(len(samples)).split(batch_size):
        raw = {name: value.to(device) for name, value in samples.read(index).items()}
        parts.append(model(eye.original(raw).x).float().cpu())
    model.train(training)
    return torch.cat(parts)


@torch.no_grad()
def judged(model: nn.Module, samples: Samples, *, most: int = 1 << 22, batch_size: int = 64) -> tuple[Tensor, Tensor]:
    """What a classifier makes of every sample and the class it has: (N, K) and (N,). Where masks name pixels, of these: (P, K) and (P,).

    Pixels are those of the whole pictures at the size the model sees, `most` of them at most, evenly spread; their class is -1 where there is none.
    """
    if samples.masks is None:
        return scores(model, samples), torch.as_tensor(samples.y)
    size = samples.form["size"]
    step = max(1, -(-len(samples) * size * size // most))
    found, y = [], []
    for _, view, known in pixels(model, samples, batch_size=batch_size):
        found.append(view.movedim(1, -1).flatten(0, 2)[::step])
        y.append(known.flatten()[::step])
    return torch.cat(found), torch.cat(y)


@torch.no_grad()
def pixels(model: nn.Module, samples: Samples, *, batch_size: int = 64) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Pictures in pieces, all of each squeezed into a square: their places (b,), the scores (b, K, S, S) and the classes (b, S, S) of the pixels."""
    training = model.training
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    model.eval()
    eye = viewer(samples.form)
    for index in torch.arange(len(samples)).split(batch_size):
        view = eye.original(squeezed(raw := {name: value.to(device) for name, value in samples.read(index).items()}))
        yield index, model(view.x).float().cpu(), shown(raw["mask"], view).cpu()
    model.train(training)


def accuracy(scores: Tensor, y: Tensor) -> float:
    """The share of samples whose highest score, of (N, K), is that of their class y (N,); those with y = -1 do not count.

    >>> accuracy(torch.tensor([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]]), torch.tensor([0, 0, -1]))
    0.5
    """
    scores, y = _known(scores, y)
    return (scores.argmax(-1) == y).double().mean().item()


def balanced_accuracy(scores: Tensor, y: Tensor) -> float:
    """The accuracy within each class that occurs in y (N,), averaged over these classes; scores (N, K).

    >>> balanced_accuracy(torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 0, 0, 1]))
    0.5
    """
    scores, y = _known(scores, y)
    right = (scores.argmax(-1) == y).double()
    return torch.stack([right[y == c].mean() for c in y.unique()]).mean().item()


def negative_log_likelihood(scores: Tensor, y: Tensor) -> float:
    """The mean of -log p_y, in nats, with p = softmax(scores), (N, K), and y (N,)."""
    scores, y = _known(scores, y)
    return F.cross_entropy(scores.double(), y).item()


class Reliability(NamedTuple):
    """Of each of B bins of equal width from 0 to 1: the mean confidence and the accuracy of its samples (NaN if none), and how many."""

    confidence: Tensor
    accuracy: Tensor
    samples: Tensor


def reliability(scores: Tensor, y: Tensor, bins: int = BINS) -> Reliability:
    """Samples sorted by their confidence, max softmax(scores), into bins ](b - 1) / B, b / B]; scores (N, K), y (N,)."""
    scores, y = _known(scores, y)
    confidence, guess = scores.double().softmax(-1).max(-1)
    return _binned(confidence, guess == y, bins)


def _binned(confidence: Tensor, right: Tensor, bins: int) -> Reliability:
    confidence, right = confidence.double(), right.double()
    place = (confidence * bins).ceil().long().clamp(1, bins) - 1
    count = torch.zeros(bins, dtype=torch.float64).index_add_(0, place, torch.ones_like(right))
    sums = (torch.zeros(bins, dtype=torch.float64).index_add_(0, place, values) for values in (confidence, right))
    mean_confidence, mean_right = (total / count for total in sums)
    return Reliability(mean_confidence, mean_right, count.long())


def expected_calibration_error(scores: Tensor, y: Tensor, bins: int = BINS) -> float:
    """How far the confidence is from the accuracy: the sum over bins of  n_b / N |accuracy_b - confidence_b|.

    Scores (N, K), y (N,). 0 for a classifier that is right as often as it says.

    Guo, Pleiss, Sun, Weinberger, ICML 2017, arXiv:1706.04599
    """
    return _gap(reliability(scores, y, bins))


def calibration_error(confidence: Tensor, right: Tensor, bins: int = BINS) -> float:
    """The expected calibration error of any confidence, from 0 to 1, (N,), in labels that are `right`, bool (N,), or not.

    >>> round(calibration_error(torch.tensor([0.9, 0.9]), torch.tensor([True, False])), 4)
    0.4
    """
    return _gap(_binned(confidence, right, bins))


def _gap(bins: Reliability) -> float:
    gap = (bins.accuracy - bins.confidence).abs().nan_to_num()
    return float((gap * bins.samples).sum() / bins.samples.sum())


def fit_temperature(scores: Tensor, y: Tensor) -> float:
    """The T > 0 at which softmax(scores / T) makes the labels most likely; scores (N, K) of samples that were not learned from, y (N,).

    The likelihood is concave in 1 / T: its derivative is halved down to nothing between T = 1/100 and T = 100.

    Guo, Pleiss, Sun, Weinberger, ICML 2017, arXiv:1706.04599
    """
    scores, y = _known(scores, y)
    scores = scores.double()
    own = scores.gather(1, y[:, None])[:, 0]

    def rising(inverse: float) -> bool:
        p = (scores * inverse).softmax(-1)
        return bool((own - (p * scores).sum(-1)).mean() > 0)

    low, high = 0.01, 100.0
    for _ in range(60):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if rising(middle) else (low, middle)
    return 1 / low


def confusion(scores: Tensor, y: Tensor) -> Tensor:
    """How many samples of each class (rows) are called what (columns): int64 (K, K) from scores (N, K) and y (N,)."""
    scores, y = _known(scores, y)
    k = scores.shape[1]
    return torch.bincount(y * k + scores.argmax(-1), minlength=k * k).view(k, k)


def mean_overlap(scores: Tensor, y: Tensor) -> float:
    """The intersection over union of what is called a class and what is one, averaged over the classes that either has; scores (N, K), y (N,).

    Of pixels this is the mean IoU of a data set.
    """
    scores, y = _known(scores, y)
    return mean_iou(y[None], scores.argmax(-1)[None], scores.shape[1]).item()


MEASURES: dict[str, Callable[[Tensor, Tensor], float]] = {
    "accuracy": accuracy,
    "balanced-accuracy": balanced_accuracy,
    "mean-iou": mean_overlap,
    "calibration-error": expected_calibration_error,
    "negative-log-likelihood": negative_log_likelihood,
}


def _known(scores: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The rows with a label; raises UserError where there is none."""
    known = y >= 0
    if not known.any():
        raise UserError(f"a classifier is judged by labels, and none of the {len(y)} samples has one of its classes")
    return scores[known], y[known]
