"""The agreement of diverse heads chooses better labels when those at hand were not drawn evenly."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ipse.claims import Claim, accuracy, biased_labels, selftrained, taught

if TYPE_CHECKING:
    from ipse import Run
    from ipse.data import Data

CLAIM = Claim(
    statement=(
        "Where the labelled samples are the unusual ones of their class, self-training that goes by the agreement of heads "
        "taught to disagree ends more accurate than by the greatest probability."
    ),
    setting=(
        "scikit-learn's digits as rows of 64 numbers, 1,200 to learn from with 10 labels per class drawn by exp(|first "
        "principal component|), 500 to test; table_mlp (64, depth 2), batch 64, six rounds of 300 steps at lr 4e-3, after each "
        "of which the surest 20, 40, ... % count as labelled; the same steps for both"
    ),
    measure="test accuracy",
    unit="%",
    seeds=5,
    long_seeds=18,
    tried=(
        "On seed 100, lr 4e-3: T-similarity 78.4 %, greatest probability 75.4 %, labels alone 69.6 %; at lr 1e-3 72.4, 73.0 "
        "and 68.4 %, so that 4e-3 is the better for both. Before, the claim was that T-similarity is the better calibrated of "
        "the two. On seeds 100 and 101, at lr 1e-3 and 4e-3, for 300 to 1,500 steps, widths 8, 16 and 64, gamma 0.3 to 2 and "
        "bias 0.5 to 2, its calibration error was 0.26 to 0.54, that of the greatest probability 0.03 to 0.29: the heads learn "
        "to disagree more than they are wrong. It orders them no better either (AUC 0.75 to 0.85 against 0.77 to 0.86). So the "
        "paper's main claim is tested, of the accuracy in the end; both errors are shown beside."
    ),
)


def run(seed: int, long: bool) -> dict[str, float]:
    data = biased_labels(_rows(seed), 10, seed, strength=1.0)
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
            lr=4e-3,
            options={"width": 64, "depth": 2},
        )

    first = learned(0)
    agreement, probability = _calibration(taught(first, data), data, _rows(seed).train.y)
    return {
        "T-similarity": accuracy(learned(5), data),
        "greatest probability": accuracy(learned(5, "softmax"), data),
        "labels alone": accuracy(first, data),
        "calibration error, T-similarity": agreement,
        "calibration error, greatest probability": probability,
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
