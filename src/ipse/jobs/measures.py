"""The measures by name: how to read each, and what it can be taken of."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple


class Meaning(NamedTuple):
    """How to read a measure, and what it can be taken of.

    percent: whether it is a share. modality: the only kind of data that it is for. usual: whether it is taken unasked. watchable: whether it can be
    taken on the way. needs_classes: whether it is about a classifier, and so taken unasked of each. of_pixels: whether
    it is for classifiers of pixels alone.
    """

    text: str
    higher_is_better: bool
    needs_labels: bool = False
    percent: bool = False
    modality: str = ""
    usual: bool = True
    watchable: bool = False
    needs_classes: bool = False
    of_pixels: bool = False


_of_classes = partial(Meaning, needs_labels=True, usual=False, needs_classes=True)
_of_labels = partial(Meaning, higher_is_better=True, needs_labels=True, percent=True)

MEANINGS: Mapping[str, Meaning] = {
    "accuracy": _of_classes(
        "Share of samples whose class the model names, or of pixels where masks are the labels; of the test part, where there is one.",
        higher_is_better=True,
        percent=True,
    ),
    "balanced-accuracy": _of_classes(
        "The same within each class, averaged over the classes: rare ones count as much as common ones.",
        higher_is_better=True,
        percent=True,
    ),
    "mean-iou": _of_classes(
        "Overlap of what is called a class and what is one: intersection over union of the pixels, averaged over the classes.",
        higher_is_better=True,
        percent=True,
        of_pixels=True,
    ),
    "calibration-error": _of_classes(
        "How far the model's confidence is from how often it is right, on average.", higher_is_better=False, percent=True
    ),
    "negative-log-likelihood": _of_classes(
        "How much the true classes surprise the model, in nats; guessing among K has log K.", higher_is_better=False
    ),
    "knn": _of_labels(
        "Share of held-out samples whose label most of their 20 nearest neighbours have (weighted by cosine similarity)."
    ),
    "linear": _of_labels("Share of held-out samples that a linear classifier on the frozen embeddings gets right."),
    "rankme": Meaning(
        "Smooth count of the directions that the embeddings use; near 1 means collapse.", higher_is_better=True, watchable=True
    ),
    "effective-dimension": Meaning(
        "Directions that carry the variance of the embeddings, weighted by their share.", higher_is_better=True, watchable=True
    ),
    "alignment": Meaning(
        "Mean squared distance between the embeddings of two views of one sample; 0 means that views do not matter.",
        higher_is_better=False,
    ),
    "uniformity": Meaning(
        "How evenly the embeddings cover the sphere; more negative is more even.", higher_is_better=False, watchable=True
    ),
    "forecast": Meaning(
        "Mean squared error, in units of a channel's variance, of a ridge forecast of each window's last quarter from what the encoder makes of the rest.",
        higher_is_better=False,
        modality="series",
    ),
    "forecast-linear": Meaning(
        "The same of a linear forecast from the window itself, which needs no encoder.",
        higher_is_better=False,
        modality="series",
    ),
    "self-training": _of_labels(
        "Share of held-out samples that scikit-learn's self-training on the frozen embeddings gets right.", usual=False
    ),
    "label-spreading": _of_labels(
        "Share of held-out samples that scikit-learn's label spreading over the frozen embeddings gets right.", usual=False
    ),
    "superb": Meaning(
        "Speech tasks on the frozen layers in one number: 0 as good as filter banks, 1000 perfect.",
        higher_is_better=True,
        needs_labels=True,
        modality="audio",
        usual=False,
    ),
}
