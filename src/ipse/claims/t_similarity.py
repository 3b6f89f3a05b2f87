"""The agreement of diverse heads is an honest confidence when labels were not drawn evenly."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ipse.claims import Claim, accuracy, biased_labels, selftrained, taught

if TYPE_CHECKING:
    from ipse import Run
    from ipse.data import Data

CLAIM = Claim(
    statement="Where the labelled samples are the unusual ones of their class, the agreement of heads taught to disagree is a better calibrated "
    "confidence than the greatest probability.",
    setting="scikit-learn's digits as rows of 64 numbers, 1,200 to learn from with 10 labels per class drawn by exp(|first principal component| / 2), "
    "500 to test; table_mlp, batch 64, 300 steps",
    measure="expected calibration error on the samples without a label",
    kind="less",
    seeds=9,
    long_seeds=18,
    tried="One model gives both confidences; the paper's gamma of 1, 5 heads and rate. The further arms: test accuracy of self-training in five rounds "
    "by each confidence, of 300 steps per round.",
)


def run(seed: int, long: bool) -> dict[str, float]:
    data = biased_labels(_rows(seed), 10, seed, strength=0.5)
    each = 2000 if long else 300

    def learned(relabellings: int, confidence: str = "t-similarity") -> Run:
        words: dict[str, Any] = {"relabellings": relabellings, "confidence": confidence}
        return selftrained(
            data,
            seed,
            method="t-similarity",
            set=words,
            steps=each * (1 + relabellings),
            batch_size=64,
            lr=1e-3,
            options={"width": 64, "depth": 2},
        )

    agreement, probability = _calibration(taught(learned(0), data), data, _rows(seed).train.y)
    return {
        "T-similarity": agreement,
        "greatest probability": probability,
        "accuracy, T-similarity": accuracy(learned(5), data),
        "accuracy, greatest probability": accuracy(learned(5, "softmax"), data),
    }


def _rows(seed: int) -> Data:
    """Digits as rows of a table."""
    from sklearn.datasets import load_digits

    from ipse.claims.harness.kit import drawn
    from ipse.data import open_data

    x, y = load_digits(return_X_y=True)
    opened = open_data((x.astype("float32"), y), modality="table")
    return drawn(replace(opened, name="digits as rows"), 1200, 500, seed)


def _calibration(method: Any, data: Data, truth: Any) -> tuple[float, float]:
    """How far each confidence is from how often the label is right, on the samples without a label."""
    import torch

    from ipse.metrics.classification import calibration_error
    from ipse.transforms import viewer

    bare = data.train.subset(data.train.y < 0)
    x = viewer(bare.form).original(bare.read(range(len(bare)))).x
    with torch.no_grad():
        label, agreement = method.confidence(x)
        probability = method.model(x).softmax(1).max(1).values
    right = label == torch.from_numpy(truth[data.train.y < 0])
    return calibration_error(agreement, right), calibration_error(probability, right)
